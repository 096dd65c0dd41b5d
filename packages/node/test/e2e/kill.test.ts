import { startDevnet, type Devnet } from '@opg/devnet'
import { fetchSettlements, requestClose, syncReceipts } from '@opg/payer'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createKillableNode, type KillableNode } from './killableNode.js'
import { buyUntil, createMarket, openOrders, openSession, type Buyer, type Market } from './market.js'

const KILLS = 8
const WORKERS_PER_ORDER = 6
/** Base units: more than all workers can spend. */
const AMPLE = 100n * 10n ** 18n

let devnet: Devnet
let market: Market
const nodes: KillableNode[] = []

async function createNode(): Promise<KillableNode> {
  const node = await createKillableNode(market.environment)
  nodes.push(node)
  return node
}

beforeEach(async () => {
  devnet = await startDevnet()
  market = await createMarket(devnet)
})

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.kill()))
  await market.remove()
  await devnet.stop()
})

/** Whole numbers below `bound`, the same for the same seed (mulberry32). */
function randomBelow(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound)
  }
}

/** Waits for the node's next transaction: the moments around it are where a settlement could be lost or done twice. */
async function nextTransaction(): Promise<void> {
  const count = await devnet.provider.getTransactionCount(market.node.address)
  for (let i = 0; i < 300; i++) {
    if ((await devnet.provider.getTransactionCount(market.node.address)) > count) return
    await sleep(10)
  }
}

async function closeAll(buyers: readonly Buyer[], url: string): Promise<void> {
  const { escrow } = market
  for (const { payer, prepared } of buyers) {
    const { terms, order } = prepared
    const expiresAt = Math.floor(Date.now() / 1_000) + 3_600
    const answer = await requestClose(payer, { escrow, terms, order, nodeUrl: url, fetch, attempts: 20, expiresAt })
    expect(answer.status).toBe('closing')
  }
  for (const { prepared } of buyers) {
    while (!(await devnet.contracts.escrow.orders(prepared.orderId)).closed) await sleep(100)
  }
}

type Opened = Awaited<ReturnType<typeof openSession>>

/** Every receipt that the payer holds is settled, once, and the totals add up. @returns the order's fees */
async function checkOrder({ prepared }: Buyer, { book, http }: Opened): Promise<bigint> {
  const held = book.receipts().length
  const synced = await syncReceipts(book, http)
  expect(synced.frauds).toEqual([])
  const receipts = book.receipts()
  expect(receipts.length).toBeGreaterThanOrEqual(held)

  let total = 0n
  const requests = new Set<string>()
  receipts.forEach(({ receipt }, index) => {
    total += receipt.fee
    expect(receipt).toMatchObject({ seq: BigInt(index), cumulativeFee: total })
    requests.add(receipt.requestId)
  })
  expect(requests.size).toBe(receipts.length)
  expect(book.audit().frauds).toEqual([])

  const { orderId } = prepared
  const settlements = await fetchSettlements(devnet.provider, { escrow: market.escrow, orderId, fromBlock: 0 })
  for (const settlement of settlements) expect(book.checkSettlement(settlement)).toEqual({ status: 'consistent' })
  // Cumulative fees only grow; the close may repeat the last one, and then credits nothing.
  const fees = settlements.map(({ cumulativeFee }) => cumulativeFee)
  expect(fees.slice(0, -1)).toEqual([...new Set(fees.slice(0, -1))].sort((a, b) => (a < b ? -1 : 1)))
  const last = settlements.at(-1)
  expect(last).toMatchObject({ cumulativeFee: total, receiptCount: BigInt(receipts.length) })
  expect(last?.refund).toBe(prepared.order.amount - total)
  return total
}

/** All that the orders held went to payees and payers, to the last unit (E1, E7). */
async function checkEscrow(fees: bigint): Promise<void> {
  const { escrow, token } = devnet.contracts
  const events = await escrow.queryFilter(escrow.filters.FeesCredited())
  const credited = events.reduce((sum, { args }) => {
    return sum + args.nodeFee + args.facilitatorFee + args.royalty + args.networkFee
  }, 0n)
  expect(credited).toBe(fees)
  const claimed = events.reduce((sum, { args }) => sum + args.claimed, 0n)
  const { node, facilitator } = market
  const credits = (await escrow.credits(node.address)) + (await escrow.credits(facilitator.address))
  expect(credits + (await escrow.networkCredit()) + claimed).toBe(fees)
  expect(await token.balanceOf(market.escrow.escrow)).toBe(fees - claimed)
}

describe('a node that is killed', () => {
  it('at random moments under load: every receipt that a client holds is settled once, and the books are exact (N4)', async () => {
    const seed = Number(process.env.KILL_SEED ?? Date.now() % 2 ** 31)
    console.info(`KILL_SEED=${String(seed)} repeats this run's choices`)
    const below = randomBelow(seed)
    const node = await createNode()
    await node.start()
    const [, , , , , first, second] = devnet.wallets
    const payers = [first, first, second]
    const buyers = await openOrders(market, { payers, terms: market.terms('tee'), amount: AMPLE })
    const opened = await Promise.all(buyers.map((buyer) => openSession(market, { buyer, url: node.url })))

    let isOver = false
    const workers = opened.flatMap(({ session }) =>
      Array.from({ length: WORKERS_PER_ORDER }, () => buyUntil(session, () => isOver)),
    )
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(100 + below(900))
      if (kill % 2 === 1) await nextTransaction()
      await sleep(below(40))
      await node.kill()
      await node.start()
    }
    isOver = true
    const answers = (await Promise.all(workers)).reduce((sum, count) => sum + count, 0)
    expect(answers).toBeGreaterThan(WORKERS_PER_ORDER * buyers.length)

    await closeAll(buyers, node.url)
    let fees = 0n
    for (const [index, buyer] of buyers.entries()) {
      const mine = opened[index]
      if (mine !== undefined) fees += await checkOrder(buyer, mine)
    }
    await checkEscrow(fees)
    expect(await node.stop()).toBe(0)
    for (const secret of market.secrets) expect(node.output()).not.toContain(secret)
  })

  it('beside another on the same books: orders are never overspent, nothing is billed twice (F20, N3)', async () => {
    const [doomed, survivor] = [await createNode(), await createNode()]
    await Promise.all([doomed.start(), survivor.start()])
    const [, , , , , first, second] = devnet.wallets
    // Enough for a few hundred requests, so that both run into the end of it.
    const amount = 10n ** 17n
    const buyers = await openOrders(market, { payers: [first, second], terms: market.terms('key'), amount })
    const opened = await Promise.all(
      buyers.map((buyer, index) => openSession(market, { buyer, url: index === 0 ? doomed.url : survivor.url })),
    )
    const workers = opened.flatMap(({ session }) =>
      Array.from({ length: WORKERS_PER_ORDER }, () => buyUntil(session, () => false).catch((e: unknown) => e)),
    )
    await sleep(400)
    await doomed.kill()
    await doomed.start()
    for (const outcome of await Promise.all(workers)) expect(String(outcome)).toMatch(/EXHAUSTED|INSUFFICIENT/i)

    await closeAll(buyers, survivor.url)
    let fees = 0n
    for (const [index, buyer] of buyers.entries()) {
      const mine = opened[index]
      if (mine !== undefined) fees += await checkOrder(buyer, mine)
      expect(fees).toBeLessThanOrEqual(amount * BigInt(index + 1))
    }
    await checkEscrow(fees)
  })
})
