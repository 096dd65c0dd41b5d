import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CliEdge } from '@opg/operator'
import { runCli } from '../../src/cli/main.js'

export interface CliRun {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** A command that runs, with all that it said so far. */
export interface RunningCli {
  /** Asks it to stop, as SIGTERM does. */
  stop(): void
  readonly done: Promise<CliRun>
  /** The next line of stdout, as JSON. Rejects if the command ends before. */
  line(): Promise<unknown>
  stderr(): string
}

/** Starts a command in this process, as `src/cli.ts` does. */
export function startCli(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  { clock = Date.now }: { readonly clock?: () => number } = {},
): RunningCli {
  let [stdout, stderr] = ['', '']
  let taken = 0
  const stops = new Set<() => void>()
  const edge: CliEdge = {
    environment,
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
    onStop: (stop) => {
      stops.add(stop)
      return () => stops.delete(stop)
    },
    clock,
    random: randomBytes,
    sleep: async (ms, signal) => {
      await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
    },
    fetch,
  }
  let isDone = false
  const done = runCli(args, { edge, version: '0.0.0-test' })
    .then((exitCode) => ({ exitCode, stdout, stderr }))
    .finally(() => {
      isDone = true
    })
  return {
    stop: () => {
      for (const stop of [...stops]) stop()
    },
    done,
    line: async () => {
      for (;;) {
        const text = stdout.split('\n').slice(0, -1)[taken]
        if (text !== undefined) {
          taken += 1
          return JSON.parse(text) as unknown
        }
        if (isDone) throw new TypeError(`the command ended: ${stderr}`)
        await sleep(10)
      }
    },
    stderr: () => stderr,
  }
}

/** Runs a command to its end. */
export function runToEnd(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<CliRun> {
  return startCli(args, environment).done
}
