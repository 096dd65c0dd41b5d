import { startDevnet, type Devnet } from '@opg/devnet'
import { decodeReceiptHeader, toWire, type SignedReceipt } from '@opg/protocol'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openOrderAt } from '../cli/testPayer.js'
import { checkEscrow, checkOrder, checkSettled, closeAll, receiptsAt, untilClosed } from './checkBooks.js'
import { createKillableNode, runCommand, type KillableNode } from './killableNode.js'
import { MODEL, buyUntil, createMarket, openOrders, openSession, type Market } from './market.js'

const KILLS = 9
const WORKERS_PER_ORDER = 3
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
  for (const node of nodes) {
    await node.kill()
    for (const secret of market.secrets) expect(node.output()).not.toContain(secret) // (N8)
  }
  nodes.length = 0
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

/** How many transactions of the node the chain has: mined ones, or those in its pool as well. */
function transactions(block: 'latest' | 'pending'): Promise<number> {
  return devnet.provider.getTransactionCount(market.node.address, block)
}

/** Resolves once the chain has one more transaction of the node. The load goes on, so there will be one. */
async function nextTransaction(block: 'latest' | 'pending'): Promise<void> {
  const count = await transactions(block)
  while ((await transactions(block)) === count) await sleep(5)
}

/** Kills the node at one of the moments that could lose something or do it twice, and starts it again. */
async function killOnce(node: KillableNode, { kill, below }: { kill: number; below: (bound: number) => number }) {
  switch (kill % 3) {
    case 0: // Somewhere between requests, receipts and settlements.
      await sleep(below(800))
      await node.kill()
      break
    case 1: // A settlement is mined; perhaps it is booked, perhaps not.
      await nextTransaction('latest')
      await sleep(below(15))
      await node.kill()
      break
    case 2: // A settlement is in the pool. It is mined while the node is dead, or after.
      await devnet.setAutomine(false)
      await nextTransaction('pending')
      await sleep(below(15))
      await node.kill()
      if (below(2) === 0) await devnet.mine()
      break
  }
  await node.start()
  await devnet.setAutomine(true)
  await devnet.mine()
}

interface Reserved {
  readonly reserved: string
}

describe('a node that is killed', () => {
  it('at random moments under load: every receipt that a client holds is settled once, and the books are exact (N4)', async () => {
    const seed = Number(process.env['KILL_SEED'] ?? Date.now() % 2 ** 31)
    console.info(`KILL_SEED=${String(seed)} repeats this run's choices`)
    const below = randomBelow(seed)
    const node = await createNode()
    await node.start()
    const [, , , , , first, second] = devnet.wallets
    const payers = [first, first, second]
    const buyers = await openOrders(market, { payers, terms: market.terms('tee'), amount: AMPLE })
    const sessions = await Promise.all(
      buyers.map(async (buyer) => ({ buyer, opened: await openSession(market, { buyer, url: node.url }) })),
    )

    let isOver = false
    const workers = sessions.flatMap(({ opened }) =>
      Array.from({ length: WORKERS_PER_ORDER }, () => buyUntil(opened.session, () => isOver)),
    )
    for (let kill = 0; kill < KILLS; kill++) await killOnce(node, { kill, below })
    isOver = true
    const answers = (await Promise.all(workers)).reduce((sum, count) => sum + count, 0)
    expect(answers).toBeGreaterThan(KILLS)

    await closeAll(market, buyers, node.url)
    let [fees, receipts] = [0n, 0]
    for (const { buyer, opened } of sessions) {
      fees += await checkOrder(market, { buyer, opened, url: node.url })
      receipts += opened.book.receipts().length
    }
    // Nobody paid for what did not arrive in the end: the sessions asked again until it did.
    expect(receipts).toBe(answers)
    await checkEscrow(market, { buyers, fees })
    console.info(`${String(answers)} answers, ${String(await transactions('latest'))} transactions of the node`)
    expect(await node.stop()).toBe(0)
  })

  it('beside another on the same books: each request is billed once, whichever process answers (F20)', async () => {
    const [doomed, survivor] = [await createNode(), await createNode()]
    await Promise.all([doomed.start(), survivor.start()])
    let turn = 0
    // Every try goes to the other process: also that of a request which the first still works on.
    const fetchByTurns: typeof fetch = (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input)
      return fetch((turn++ % 2 === 0 ? doomed : survivor).url + url.pathname + url.search, init)
    }
    const [, , , , , first, second] = devnet.wallets
    // Enough for a few hundred requests, so that all run into the end of it.
    const amount = 2n * 10n ** 17n
    const buyers = await openOrders(market, { payers: [first, second], terms: market.terms('key'), amount })
    const sessions = await Promise.all(
      buyers.map(async (buyer) => {
        return { buyer, opened: await openSession(market, { buyer, url: survivor.url, fetch: fetchByTurns }) }
      }),
    )
    const workers = sessions.flatMap(({ opened }) =>
      Array.from({ length: WORKERS_PER_ORDER }, () =>
        buyUntil(opened.session, () => false).catch((error: unknown) => error),
      ),
    )
    for (const _ of [1, 2]) {
      await sleep(300)
      await doomed.kill()
      await doomed.start()
    }
    for (const outcome of await Promise.all(workers)) expect(String(outcome)).toContain('EXHAUSTED')

    await closeAll(market, buyers, survivor.url)
    let fees = 0n
    for (const { buyer, opened } of sessions) fees += await checkOrder(market, { buyer, opened, url: survivor.url })
    await checkEscrow(market, { buyers, fees })
  })

  it('beside another, under a client that overspends its order on both: no more is admitted than it holds (F20, N3)', async () => {
    const [doomed, survivor] = [await createNode(), await createNode()]
    await Promise.all([doomed.start(), survivor.start()])
    const [, , payer] = devnet.wallets
    const maxFee = 2n * 10n ** 15n
    const amount = 20n * maxFee
    const order = await openOrderAt(survivor.url, { devnet, payer, model: MODEL, amount })
    const ask = (index: number, url: string): Promise<Response | undefined> => {
      const body = { model: MODEL, input: { text: `Request ${String(index)}` } }
      return order.pay('/v1/infer', body, { index: BigInt(index), maxFee, url }).catch(() => undefined)
    }

    const held: SignedReceipt[] = []
    const askAll = async (from: number): Promise<void> => {
      const indexes = Array.from({ length: 40 }, (_, i) => from + i)
      const answers = await Promise.all(indexes.map((index) => ask(index, (index % 2 ? doomed : survivor).url)))
      for (const answer of answers) {
        if (answer?.status === 200) held.push(decodeReceiptHeader(answer.headers.get('x-opg-receipt')))
        else expect([undefined, 402, 503]).toContain(answer?.status)
      }
    }
    const load = askAll(0)
    await sleep(60)
    await doomed.kill()
    await load
    await doomed.start()
    await askAll(40)
    // What the killed process had reserved is free again after a while, and is spent to the last.
    for (let index = 80, reserved = ''; reserved !== '0'; index++) {
      const answer = await ask(index, survivor.url)
      if (answer?.status === 200) held.push(decodeReceiptHeader(answer.headers.get('x-opg-receipt')))
      else if (answer?.status === 402) {
        ;({ reserved } = (await (await fetch(`${survivor.url}/v1/orders/${order.orderId}`)).json()) as Reserved)
        await sleep(100)
      }
    }

    const settled = await runCommand(['settle', '--close', order.orderId, '--json'], market.environment)
    expect(settled).toMatchObject({ exitCode: 0 })
    await untilClosed(devnet, order.orderId)
    const stored = await receiptsAt(survivor.url, order.orderId)
    for (const receipt of held) expect(toWire(stored[Number(receipt.receipt.seq)])).toEqual(toWire(receipt))
    expect(amount - (stored.at(-1)?.receipt.cumulativeFee ?? 0n)).toBeLessThan(maxFee)
    await checkSettled(market, { orderId: order.orderId, amount, stored })
  })
})
