import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { MutationRunError } from './errors.js'
import type { Answer, FailedAnswer, Job } from './messages.js'

const SCRIPT = fileURLToPath(new URL('worker.ts', import.meta.url))

/** Jobs that one process does before another takes over: the compiler's memory only ever grows. */
const JOBS_PER_PROCESS = 120

export type Outcome<A extends Answer> =
  { readonly status: 'answered'; readonly answer: A } | { readonly status: 'timeout' } | { readonly status: 'crashed' }

/** A worker that is always there: its process is replaced when it hangs, dies or has worked enough. */
export class WorkerProcess {
  #child: ChildProcess | undefined
  #jobs = 0

  /** @throws {MutationRunError} where the job could not be done for a reason that is not the mutant's */
  async ask<A extends Answer>(job: Job & { kind: A['kind'] }, timeoutMs: number): Promise<Outcome<A>> {
    if (this.#jobs >= JOBS_PER_PROCESS) this.stop()
    const child = this.#child ?? (await this.#start())
    this.#jobs += 1
    const outcome = await new Promise<Outcome<A>>((resolve, reject) => {
      const timer = setTimeout(() => {
        done({ status: 'timeout' })
      }, timeoutMs)
      const onMessage = (answer: A | FailedAnswer): void => {
        if (answer.kind === 'failed') reject(new MutationRunError('WORKER_LOST', answer.reason))
        else done({ status: 'answered', answer })
      }
      const onExit = (): void => {
        done({ status: 'crashed' })
      }
      const done = (result: Outcome<A>): void => {
        clearTimeout(timer)
        child.off('message', onMessage).off('exit', onExit)
        resolve(result)
      }
      child.on('message', onMessage).on('exit', onExit)
      child.send(job)
    })
    if (outcome.status !== 'answered') this.stop()
    return outcome
  }

  stop(): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
    this.#jobs = 0
  }

  async #start(): Promise<ChildProcess> {
    const child = fork(SCRIPT, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#child = child
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => {
        resolve()
      })
      child.once('exit', (code) => {
        reject(new MutationRunError('WORKER_LOST', `A worker ended with ${String(code)} before it was ready`))
      })
    })
    return child
  }
}
