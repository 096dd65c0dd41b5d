import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What an engine of a process of its own needs; it comes on the standard input. */
export interface ChildInput {
  readonly rpcUrl: string
  readonly escrow: string
  readonly senderKey: string
  /** A path of SQLite, or a URL of PostgreSQL. */
  readonly books: string
  readonly leaseMs: number
  /** The process ends itself by SIGKILL at the first call of this method: before it leaves, or after its answer. */
  readonly killAt?: { readonly method: string; readonly when: 'before' | 'after' }
  /** JSON, and the attempt of each. */
  readonly locks: readonly { readonly opening: string; readonly attempt: string }[]
  readonly captures: readonly string[]
}

export interface Child {
  /** Lines that it wrote. */
  readonly lines: readonly string[]
  kill(): void
  /** The signal that ended it, or its exit code. */
  readonly ended: Promise<string | number | null>
}

const SCRIPT = fileURLToPath(new URL('./childEngine.ts', import.meta.url))

/** Starts a real process of an engine. */
export function startChild(input: ChildInput): Child {
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: string[] = []
  child.stdout.on('data', (chunk: Buffer) => lines.push(...chunk.toString().split('\n').filter(Boolean)))
  child.stdin.end(JSON.stringify(input))
  const ended = new Promise<string | number | null>((resolve) => {
    child.on('close', (code, signal) => {
      resolve(signal ?? code)
    })
  })
  return {
    lines,
    kill: () => {
      child.kill('SIGKILL')
    },
    ended,
  }
}
