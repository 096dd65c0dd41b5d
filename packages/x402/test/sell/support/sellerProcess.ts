import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { SellWorld } from './world.js'

/** What a seller's process needs; it arrives on its standard input, since keys are no arguments (N8). */
export interface SellerInput {
  readonly rpcUrl: string
  readonly facilitatorUrl: string
  readonly deployment: SellWorld['devnet']['deployment']
  readonly nodeKey: string
  readonly outboxPath: string
  readonly handler: 'answers' | 'hangs'
}

export interface SellerProcess {
  readonly url: string
  /** Once it wrote a line that holds `word`. */
  said(word: string): Promise<void>
  /** By SIGKILL. */
  kill(): Promise<void>
}

const SCRIPT = fileURLToPath(new URL('./seller.ts', import.meta.url))

/** Starts a real process of a seller. */
export async function startSeller(
  world: SellWorld,
  { outboxPath, handler }: Pick<SellerInput, 'outboxPath' | 'handler'>,
): Promise<SellerProcess> {
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] })
  const input: SellerInput = {
    rpcUrl: world.devnet.rpcUrl,
    facilitatorUrl: world.line.url,
    deployment: world.devnet.deployment,
    nodeKey: world.node.privateKey,
    outboxPath,
    handler,
  }
  let written = ''
  child.stdout.on('data', (chunk: Buffer) => {
    written += chunk.toString()
    child.emit('written')
  })
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => {
      resolve()
    })
  })
  const said = async (word: string): Promise<void> => {
    while (!written.includes(word)) await new Promise((resolve) => child.once('written', resolve))
  }
  child.stdin.end(JSON.stringify(input))
  await said('\n')
  return {
    url: `${written.split('\n')[0] ?? ''}/answer`,
    said,
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
