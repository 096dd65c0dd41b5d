import { startFlakyRpc, type FlakyRpc } from '@opg/devnet'
import { decodeReceiptHeader, parseSettledExtra } from '@opg/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startCli, type RunningCli } from '../cli/testEdge.js'
import { CHAT, OPG, TEXT, openShop, until, type Shop } from './shop.js'
import { pay, settledOf, verdict } from './stockClient.js'
import { startSession, type Session } from './workOrders.js'

const PATH = '/v1/infer'
const QUOTE = 1_021_000_000_000_000n

describe('work orders over x402 at a node', () => {
  let shop: Shop
  let rpc: FlakyRpc
  let serving: RunningCli
  let url: string
  const session = async (withPermit: boolean, amount = OPG / 10n): Promise<Session> =>
    startSession(url + PATH, { devnet: shop.devnet, payer: await shop.payer(), body: TEXT, amount, withPermit })

  beforeAll(async () => {
    shop = await openShop()
    rpc = await startFlakyRpc(shop.devnet.rpcUrl)
    serving = startCli(['serve', '--json'], {
      ...shop.environment,
      OPG_NODE_RPC_URL: rpc.url,
      OPG_NODE_REFRESH_SECONDS: '600',
      // So that no pass of the settler is taken for a request's question.
      OPG_NODE_SETTLE_INTERVAL_SECONDS: '3600',
    })
    url = ((await serving.line()) as { url: string }).url
  }, 120_000)
  afterAll(async () => {
    serving.stop()
    await serving.done
    await rpc.stop()
    await shop.stop()
  })
  beforeEach(() => {
    shop.facilitator.mood = 'well'
  })

  it('order that the payer opened itself: admitted with the first request, and served', async () => {
    const order = await session(false)
    await order.open()
    const response = await pay(url + PATH, TEXT, order.paymentFor(PATH, TEXT))
    expect(response.status).toBe(200)
    const { receipt } = decodeReceiptHeader(response.headers.get('x-opg-receipt'))
    const settled = settledOf(response)
    expect(settled).toMatchObject({ success: true, transaction: '', amount: receipt.fee.toString() })
    expect(parseSettledExtra((settled.extra ?? {})['opg'])).toMatchObject({ orderId: order.orderId, state: 'locked' })
  })

  it('order that comes with its permit: locked through the facilitator, once, and any number of requests at once after it', async () => {
    const order = await session(true)
    const [callsBefore, requests] = [shop.facilitator.calls, 20]
    const answers = await Promise.all(
      Array.from({ length: requests }, () => pay(url + PATH, TEXT, order.paymentFor(PATH, TEXT))),
    )
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const receipts = answers.map(({ headers }) => decodeReceiptHeader(headers.get('x-opg-receipt')).receipt)
    expect(receipts.map(({ seq }) => Number(seq)).sort((a, b) => a - b)).toEqual(receipts.map((_, i) => i))
    expect(shop.facilitator.calls).toBe(callsBefore + 1)

    rpc.asked.length = 0
    expect((await pay(url + PATH, TEXT, order.paymentFor(PATH, TEXT))).status).toBe(200)
    expect(shop.facilitator.calls).toBe(callsBefore + 1)
    expect(rpc.asked).toEqual([])
  })

  it('same header again: the stored answer; its index for another body: a conflict', async () => {
    const order = await session(true)
    const payment = order.paymentFor(PATH, TEXT, { index: 5n })
    const answer = await (await pay(url + PATH, TEXT, payment)).text()
    expect(await (await pay(url + PATH, TEXT, payment)).text()).toBe(answer)
    const other = { ...TEXT, input: { text: 'y' } }
    expect(await verdict(await pay(url + PATH, other, order.paymentFor(PATH, other, { index: 5n })))).toBe(
      '409 INDEX_CONFLICT',
    )
    // The header of one body does not pay for another.
    expect(await verdict(await pay(url + PATH, other, payment))).toBe('402 REQUEST_HASH_MISMATCH')
  })

  it('not open, and without a permit: 402 with what to pay, and nothing runs', async () => {
    const order = await session(false)
    const response = await pay(url + PATH, TEXT, order.paymentFor(PATH, TEXT))
    expect(response.headers.has('payment-required')).toBe(true)
    expect(await verdict(response)).toBe('402 ORDER_NOT_OPEN')
  })

  it('used up: 402, and a new order goes on', async () => {
    const order = await session(true, QUOTE)
    expect(await verdict(await pay(url + PATH, TEXT, order.paymentFor(PATH, TEXT)))).toBe('200')
    expect(await verdict(await pay(url + PATH, TEXT, order.paymentFor(PATH, TEXT)))).toBe('402 ORDER_EXHAUSTED')
    const next = await session(true)
    expect(await verdict(await pay(url + PATH, TEXT, next.paymentFor(PATH, TEXT)))).toBe('200')
  })

  it('payer empties the wallet before the lock: nothing is locked, and nothing runs', async () => {
    const payer = await shop.payer()
    const options = { devnet: shop.devnet, payer, body: TEXT, amount: OPG / 10n, withPermit: true }
    const order = await startSession(url + PATH, options)
    await (await shop.devnet.contracts.token.connect(payer).transfer(shop.devnet.wallets[0].address, OPG)).wait()
    expect(await verdict(await pay(url + PATH, TEXT, order.paymentFor(PATH, TEXT)))).toBe('402 LOCK_REFUSED')
  })

  it('request signed by somebody else, for another model, or for less than it may cost: 402, and nothing runs', async () => {
    const order = await session(true)
    const payment = order.paymentFor(PATH, TEXT)
    const stranger = await session(true)
    const { signature } = stranger.paymentFor(PATH, TEXT).payload
    const stolen = { ...payment, payload: { ...payment.payload, signature } }
    expect(await verdict(await pay(url + PATH, TEXT, stolen))).toBe('402 SIGNATURE_INVALID')
    expect(await verdict(await pay(url + PATH, TEXT, order.paymentFor(PATH, TEXT, { maxFee: 1n })))).toBe(
      '402 MAX_FEE_TOO_LOW',
    )
    const chatPath = '/v1/chat/completions'
    expect(await verdict(await pay(url + chatPath, CHAT, order.paymentFor(chatPath, CHAT)))).toBe(
      '402 PAYMENT_MISMATCH',
    )
    expect(shop.llm.seen).toHaveLength(0)
  })

  it('a seller step from the client, and both headers at once: 400', async () => {
    const order = await session(true)
    const payment = order.paymentFor(PATH, TEXT)
    const injected = { ...payment, payload: { ...payment.payload, opg: { phase: 'lock' } } }
    expect(await verdict(await pay(url + PATH, TEXT, injected))).toBe('400 INVALID_INPUT')
    const headers = { 'content-type': 'application/json', 'x-opg-request': 'e30', 'payment-signature': 'e30=' }
    const both = await fetch(url + PATH, { method: 'POST', headers, body: JSON.stringify(TEXT) })
    expect(await verdict(both)).toBe('400 INVALID_INPUT')
  })

  it('facilitator down: 503, nothing runs, and the same header is good afterwards', async () => {
    const order = await session(true)
    const payment = order.paymentFor(PATH, TEXT)
    shop.facilitator.mood = 'down'
    expect(await verdict(await pay(url + PATH, TEXT, payment))).toBe('503 LOCK_PENDING')
    shop.facilitator.mood = 'well'
    expect(await verdict(await pay(url + PATH, TEXT, payment))).toBe('200')
  })

  it('RPC down: unavailable, never invalid (N6), and the same header is good afterwards', async () => {
    const order = await session(true)
    const payment = order.paymentFor(PATH, TEXT)
    rpc.mood = 'error'
    expect(await verdict(await pay(url + PATH, TEXT, payment))).toBe('503 UNAVAILABLE')
    rpc.mood = 'well'
    expect(await verdict(await pay(url + PATH, TEXT, payment))).toBe('200')
  })

  it('without a facilitator: upto is not on offer, and the payer is told to open the order itself', async () => {
    const { OPG_NODE_FACILITATOR_URL: _, ...environment } = shop.environment
    const alone = startCli(['serve', '--json'], { ...environment, OPG_NODE_RPC_URL: rpc.url })
    const { url: at } = (await alone.line()) as { url: string }
    const options = { devnet: shop.devnet, payer: await shop.payer(), body: TEXT, amount: OPG / 10n, withPermit: true }
    const order = await startSession(at + PATH, options)
    const payment = order.paymentFor(PATH, TEXT)
    const response = await pay(at + PATH, TEXT, payment)
    expect(await response.clone().json()).toMatchObject({ accepts: [{ scheme: 'work-order' }] })
    expect(await verdict(response)).toBe('402 FACILITATOR_MISSING')
    await order.open()
    expect(await verdict(await pay(at + PATH, TEXT, payment))).toBe('200')
    alone.stop()
    await alone.done
  })

  it('what it sold is settled on chain', async () => {
    const order = await session(true)
    const response = await pay(url + PATH, TEXT, order.paymentFor(PATH, TEXT))
    const { fee } = decodeReceiptHeader(response.headers.get('x-opg-receipt')).receipt
    await startCli(['settle', '--json'], shop.environment).done
    await until(async () => (await shop.devnet.contracts.escrow.orders(order.orderId)).released >= fee)
  })
})
