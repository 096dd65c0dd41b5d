import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a node process of a test needs; it arrives on its standard input, since keys are no arguments (N8). */
export interface ChildInput {
  readonly job: 'serve' | 'settle' | 'hang'
  readonly rpcUrl: string
  readonly escrow: string
  readonly keyReceiptVerifier: string
  readonly nodeKey: string
  readonly databasePath: string
  readonly leaseMs: number
  /** An RPC method at which the process kills itself with SIGKILL: before the call leaves, or after its answer. */
  readonly killAt?: { readonly method: string; readonly when: 'before' | 'after' }
  /** JSON of the signed requests to serve, in turn, again and again from many sides. */
  readonly requests?: readonly unknown[]
}

export interface Child {
  /** Lines that it wrote, complete ones only. */
  readonly lines: string[]
  /** Once it has written so many lines, or ended. */
  written(count: number): Promise<void>
  kill(): void
  /** The signal that ended it, or its exit code. */
  readonly ended: Promise<string | number | null>
}

const SCRIPT = fileURLToPath(new URL('./childNode.ts', import.meta.url))

/** Starts a real process of a node. */
export function startChild(input: ChildInput): Child {
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: string[] = []
  let rest = ''
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    child.emit('lines')
  })
  child.stdin.end(JSON.stringify(input))
  const ended = new Promise<string | number | null>((resolve) => {
    child.on('close', (code, signal) => {
      resolve(signal ?? code)
    })
  })
  return {
    lines,
    written: async (count) => {
      const over = ended.then(() => 'over')
      let state: unknown
      while (lines.length < count && state !== 'over') {
        state = await Promise.race([over, new Promise((resolve) => child.once('lines', resolve))])
      }
    },
    kill: () => {
      child.kill('SIGKILL')
    },
    ended,
  }
}
