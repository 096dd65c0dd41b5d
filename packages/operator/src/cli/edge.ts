import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Environment } from '../config/readSettings.js'
import type { Clock, Logger, RandomBytes, Sleep } from '../edge.js'

/** All that a command has of the world. */
export interface CliEdge {
  readonly environment: Environment
  /** Results. */
  readonly stdout: (text: string) => void
  /** Diagnostics. */
  readonly stderr: (text: string) => void
  /** Calls `stop` when the process is asked to end, each time; gives back how to stop listening. */
  readonly onStop: (stop: () => void) => () => void
  readonly clock: Clock
  readonly random: RandomBytes
  readonly sleep: Sleep
  readonly fetch: typeof fetch
}

/** The world as a process has it: what a command's own file hands in. */
export function processEdge(process: NodeJS.Process): CliEdge {
  return {
    environment: process.env,
    stdout: (text) => {
      process.stdout.write(text)
    },
    stderr: (text) => {
      process.stderr.write(text)
    },
    onStop: (stop) => {
      process.on('SIGTERM', stop).on('SIGINT', stop)
      return () => {
        process.off('SIGTERM', stop).off('SIGINT', stop)
      }
    },
    clock: Date.now,
    random: randomBytes,
    sleep: async (ms, signal) => {
      await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
    },
    fetch,
  }
}

/** When the process is asked to stop, and when it is asked again. Ask for it before anybody can know that it runs. */
export function waitForStop(
  { onStop }: Pick<CliEdge, 'onStop'>,
  logger: Logger,
): { readonly first: Promise<undefined>; readonly again: Promise<undefined> } {
  const calls: (() => void)[] = []
  const next = (): Promise<undefined> =>
    new Promise((resolve) => {
      calls.push(() => {
        resolve(undefined)
      })
    })
  const [first, again] = [next(), next()]
  const stopListening = onStop(() => {
    logger.info({}, 'asked to stop')
    calls.shift()?.()
    if (calls.length === 0) stopListening()
  })
  return { first, again }
}

/** Prints a result: one line of JSON, or lines for people. */
export function print(
  { edge, json }: { readonly edge: Pick<CliEdge, 'stdout'>; readonly json: boolean },
  result: { readonly wire: unknown; readonly lines: readonly string[] },
): void {
  edge.stdout(json ? `${JSON.stringify(result.wire)}\n` : `${result.lines.join('\n')}\n`)
}

/** `1 order`, `2 orders`. */
export function countOf(count: number | bigint, noun: string): string {
  return `${String(count)} ${noun}${BigInt(count) === 1n ? '' : 's'}`
}
