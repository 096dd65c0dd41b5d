import { SILENT } from '@opg/operator'
import { type Address, toWire } from '@opg/protocol'
import { JsonRpcProvider } from 'ethers'
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { ecdsaSigner } from '../../src/receipts/ecdsaSigner.js'
import { type PaymentNode, openNode } from '../../src/service/openNode.js'
import type { ChildInput } from './child.js'
import { BODY, MODEL_ID, PATH, PRICES, sleep } from './world.js'

/** A node in a process of its own, to be killed. */

class DeadlyProvider extends JsonRpcProvider {
  readonly #killAt: ChildInput['killAt']

  constructor({ rpcUrl, killAt }: ChildInput) {
    super(rpcUrl, 31_337, { staticNetwork: true, cacheTimeout: -1, batchMaxCount: 1 })
    this.#killAt = killAt
  }

  override async send(method: string, params: unknown[] | Record<string, unknown>): Promise<unknown> {
    const killAt = this.#killAt
    const isDeadly = method === killAt?.method
    if (isDeadly && killAt.when === 'before') process.kill(process.pid, 'SIGKILL')
    const answer: unknown = await super.send(method, params)
    if (isDeadly) process.kill(process.pid, 'SIGKILL')
    return answer
  }
}

/** Synchronous, so that a line is out before the next instruction. */
function say(line: string): void {
  writeSync(1, `${line}\n`)
}

async function serveAll(node: PaymentNode, requests: readonly unknown[]): Promise<void> {
  await Promise.all(
    requests.map(async (signedRequest) => {
      const answer = await node.service.serve({
        path: PATH,
        body: new TextEncoder().encode(BODY),
        signedRequest,
        modelId: MODEL_ID,
        prices: PRICES,
        maxFeeNeeded: 1n,
        run: async ({ emit }) => {
          await sleep(1)
          await emit(new TextEncoder().encode('answer'))
          return { usage: { inputTokens: 1n, outputTokens: 5n }, contentType: 'text/plain' }
        },
        signal: new AbortController().signal,
      })
      // What a client holds from here on.
      if ('signedReceipt' in answer) say(JSON.stringify(toWire(answer.signedReceipt)))
      else say(answer.status === 'refused' ? answer.reason : answer.status)
    }),
  )
}

async function hang(node: PaymentNode, signedRequest: unknown): Promise<void> {
  await node.service.serve({
    path: PATH,
    body: new TextEncoder().encode(BODY),
    signedRequest,
    modelId: MODEL_ID,
    prices: PRICES,
    maxFeeNeeded: 1n,
    run: async ({ emit }) => {
      await emit(new TextEncoder().encode('half an ans'))
      return new Promise(() => undefined)
    },
    onChunk: () => {
      say('sent')
    },
    signal: new AbortController().signal,
  })
}

const input = JSON.parse(await text(process.stdin)) as ChildInput
const node = await openNode({
  rpc: new DeadlyProvider(input),
  escrow: input.escrow as Address,
  nodeKey: input.nodeKey,
  verifiers: [{ kind: 'key', address: input.keyReceiptVerifier as Address, signer: ecdsaSigner(input.nodeKey) }],
  databasePath: input.databasePath,
  modelIds: [MODEL_ID],
  leaseMs: input.leaseMs,
  clock: Date.now,
  random: randomBytes,
  sleep,
  logger: SILENT,
})
say('ready')
// Keeps the process alive while it hangs.
const alive = setInterval(() => undefined, 1_000)
if (input.job === 'serve') await serveAll(node, input.requests ?? [])
if (input.job === 'hang') await hang(node, input.requests?.[0])
if (input.job === 'settle') await node.settler.settleAll({ signal: new AbortController().signal })
say('done')
clearInterval(alive)
await node.close()
