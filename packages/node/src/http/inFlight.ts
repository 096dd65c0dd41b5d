import type { PaidService } from '../service/types.js'

/** A service that knows when it is idle: buffered work goes on after its client left, so connections do not tell. */
export interface TrackedService {
  readonly service: PaidService
  /** Resolves once nothing runs. */
  idle(): Promise<void>
}

export function trackInFlight(service: PaidService): TrackedService {
  const running = new Set<Promise<unknown>>()
  return {
    service: {
      ...service,
      serve: (call) => {
        const served = service.serve(call)
        const done: Promise<unknown> = served.catch(() => undefined).finally(() => running.delete(done))
        running.add(done)
        return served
      },
    },
    idle: async () => {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
