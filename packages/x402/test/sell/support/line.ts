import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/** What happens to a request on its way to the facilitator. */
export type LineMood =
  | 'well'
  /** The connection breaks before anything was said. */
  | 'broken'
  /** It answers 503. */
  | 'busy'
  /** Asked and done, and the answer is lost. */
  | 'deaf'
  /** Held back until the mood changes, and then passed on. */
  | 'held'

/** A line to the facilitator that can break, for one phase or all. */
export interface Line {
  readonly url: string
  upstream: string
  readonly moods: { lock: LineMood; capture: LineMood; other: LineMood }
  /** The steps that came in, in order. */
  readonly asked: { readonly phase: string; readonly step: unknown }[]
  stop(): Promise<void>
}

/** Starts a line to a facilitator. */
export async function startLine(upstream: string): Promise<Line> {
  const server = createServer((request, response) => {
    void pass(request, response).catch(() => response.destroy())
  })
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const step = request.url === '/settle' ? stepOf(body) : undefined
    const phase = step?.phase === 'lock' || step?.phase === 'capture' ? step.phase : 'other'
    if (step !== undefined) line.asked.push({ phase, step })
    while (line.moods[phase] === 'held') await wait(10)
    const mood = line.moods[phase]
    if (mood === 'broken') return void response.destroy()
    if (mood === 'busy') return void response.writeHead(503, { 'content-type': 'application/json' }).end('{}')
    const answer = await fetch(line.upstream + (request.url ?? ''), {
      method: request.method ?? 'GET',
      ...(body.length === 0 ? {} : { body, headers: { 'content-type': 'application/json' } }),
    })
    const text = await answer.text()
    if (mood === 'deaf') return void response.destroy()
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text)
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const line: Line = {
    url: `http://127.0.0.1:${String(port)}`,
    upstream,
    moods: { lock: 'well', capture: 'well', other: 'well' },
    asked: [],
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => {
          resolve()
        })
      }),
  }
  return line
}

function stepOf(body: Buffer): { readonly phase?: unknown } | undefined {
  const { paymentPayload } = JSON.parse(body.toString()) as {
    readonly paymentPayload?: { readonly payload?: { readonly opg?: { readonly phase?: unknown } } }
  }
  return paymentPayload?.payload?.opg ?? {}
}
