import { startDevnet, startFlakyRpc, type Devnet, type FlakyRpc, type RpcMood } from '@opg/devnet'
import { toWire } from '@opg/protocol'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openOrderAt, type OpenOrder } from '../cli/testPayer.js'
import { checkSettled, receiptsAt, untilClosed } from './checkBooks.js'
import { createKillableNode, runCommand, type KillableNode } from './killableNode.js'
import { MODEL, createMarket, openOrders, type Buyer, type Market } from './market.js'

const OPG = 10n ** 18n
const BODY = { model: MODEL, input: { text: 'Who is there?' } }

let devnet: Devnet
let market: Market
let rpc: FlakyRpc
const nodes: KillableNode[] = []

/** The node sees the chain over a line that can break. */
function environment(): Readonly<Record<string, string>> {
  return { ...market.environment, OPG_NODE_RPC_URL: rpc.url }
}

/** @param refreshSeconds after which an order that the chain confirmed must be confirmed again */
async function startNode(refreshSeconds: number): Promise<KillableNode> {
  const node = await createKillableNode({ ...environment(), OPG_NODE_REFRESH_SECONDS: String(refreshSeconds) })
  nodes.push(node)
  await node.start()
  return node
}

beforeEach(async () => {
  devnet = await startDevnet()
  market = await createMarket(devnet)
  rpc = await startFlakyRpc(devnet.rpcUrl)
})

afterEach(async () => {
  for (const node of nodes) {
    await node.kill()
    for (const secret of market.secrets) expect(node.output()).not.toContain(secret) // (N8)
  }
  nodes.length = 0
  await rpc.stop()
  await market.remove()
  await devnet.stop()
})

/** Status and error code of an answer, or the status alone. */
async function verdict(response: Response): Promise<string> {
  const body = (await response.json()) as { readonly error?: { readonly code: string } }
  return [response.status, body.error?.code].join(' ').trim()
}

async function handIn(url: string, { prepared }: Buyer): Promise<string> {
  const body = JSON.stringify(toWire({ terms: prepared.terms, order: prepared.order }))
  const headers = { 'content-type': 'application/json' }
  return verdict(await fetch(`${url}/v1/orders`, { method: 'POST', headers, body }))
}

async function booksOf(url: string, { orderId }: OpenOrder): Promise<{ released: bigint; cumulativeFee: bigint }> {
  const response = await fetch(`${url}/v1/orders/${orderId}`)
  const { released, cumulativeFee } = (await response.json()) as { released: string; cumulativeFee: string }
  return { released: BigInt(released), cumulativeFee: BigInt(cumulativeFee) }
}

async function releasedOnChain({ orderId }: OpenOrder): Promise<bigint> {
  return (await devnet.contracts.escrow.orders(orderId)).released
}

async function closeAndCheck(node: KillableNode, order: OpenOrder): Promise<void> {
  expect(await runCommand(['settle', '--close', order.orderId, '--json'], environment())).toMatchObject({ exitCode: 0 })
  await untilClosed(devnet, order.orderId)
  const stored = await receiptsAt(node.url, order.orderId)
  await checkSettled(market, { orderId: order.orderId, amount: OPG, stored })
}

describe('a node whose RPC fails', () => {
  it.each<RpcMood>(['hang-up', 'error', 'garbage', 'silent'])(
    'with %s: is unavailable, finds nothing invalid and nothing paid, and settles all of it afterwards (N6)',
    async (mood) => {
      const [, , payer, , , other] = devnet.wallets
      const [wary, trusting] = [await startNode(0), await startNode(3_600)]
      const order = await openOrderAt(wary.url, { devnet, payer, model: MODEL, amount: OPG })
      for (const { url } of [wary, trusting]) expect((await order.pay('/v1/infer', BODY, { url })).status).toBe(200)
      const [fresh] = await openOrders(market, { payers: [other], terms: market.terms('tee'), amount: OPG })
      if (fresh === undefined) throw new TypeError('no order was opened')

      rpc.mood = mood
      const releasedBefore = await releasedOnChain(order)
      const [asked, known, unknown, settling, starting] = await Promise.all([
        order.pay('/v1/infer', BODY, { url: wary.url, index: 9n }).then(verdict),
        order.pay('/v1/infer', BODY, { url: trusting.url }).then(verdict),
        handIn(trusting.url, fresh),
        runCommand(['settle', '--json'], environment()),
        runCommand(['serve', '--json'], environment()),
      ])
      expect(asked).toBe('503 UNAVAILABLE')
      // By its operator's policy what was confirmed once is good for a while; a first confirmation is always needed.
      expect(known).toBe('200')
      expect(unknown).toBe('503 UNAVAILABLE')
      for (const run of [settling, starting]) {
        expect(run).toMatchObject({ exitCode: 3, stdout: '' })
        expect(JSON.parse(run.stderr)).toMatchObject({ error: { code: 'CHAIN_UNAVAILABLE' } })
      }
      const during = await booksOf(wary.url, order)
      expect(during.released).toBeLessThanOrEqual(await releasedOnChain(order))
      expect(during.cumulativeFee).toBeGreaterThan(releasedBefore)
      expect((await fetch(`${wary.url}/health`)).status).toBe(200)

      rpc.mood = 'well'
      expect(await handIn(trusting.url, fresh)).toBe('200')
      // The very request that could not be admitted is good now: nothing was held against it.
      expect(await order.pay('/v1/infer', BODY, { url: wary.url, index: 9n }).then(verdict)).toBe('200')
      const { cumulativeFee } = await booksOf(wary.url, order)
      while ((await releasedOnChain(order)) < cumulativeFee) await sleep(50)
      await closeAndCheck(wary, order)
    },
  )

  it('with an answer that is lost on its way back: follows the settlement, and settles once (N6)', async () => {
    const node = await startNode(3_600)
    const [, , payer] = devnet.wallets
    const order = await openOrderAt(node.url, { devnet, payer, model: MODEL, amount: OPG })
    rpc.deafTo = 'eth_sendRawTransaction'
    expect((await order.pay('/v1/infer', BODY)).status).toBe(200)
    const { cumulativeFee } = await booksOf(node.url, order)
    while ((await booksOf(node.url, order)).released < cumulativeFee) await sleep(50)
    expect(await releasedOnChain(order)).toBe(cumulativeFee)

    rpc.deafTo = 'eth_getTransactionReceipt'
    expect((await order.pay('/v1/infer', BODY)).status).toBe(200)
    while ((await releasedOnChain(order)) === cumulativeFee) await sleep(50)
    // Mined, but who cannot see it does not call it paid.
    expect((await booksOf(node.url, order)).released).toBe(cumulativeFee)
    rpc.deafTo = undefined
    while ((await booksOf(node.url, order)).released === cumulativeFee) await sleep(50)
    await closeAndCheck(node, order)
  })
})
