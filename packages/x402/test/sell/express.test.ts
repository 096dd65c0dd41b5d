import {
  UPTO_PROXY,
  parseUptoExtra,
  receiptDigest,
  recoverSigner,
  requestHash,
  requestId,
  responseHash,
} from '@opg/protocol'
import { setSettlementOverrides } from '@x402/express'
import { wrapFetchWithPayment } from '@x402/fetch'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { answer, openShop } from './support/shop.js'
import { OPG, SellWorld, paymentRequired, refusal, settled, until } from './support/world.js'

const CAP = OPG / 20n
const POST = { method: 'POST' } as const

describe('selling with express', () => {
  let world: SellWorld
  beforeAll(async () => {
    world = await SellWorld.start()
  })
  afterEach(async () => {
    await world.untilAllClosed()
    await world.stopSellers()
  })
  afterAll(() => world.stop())

  it('publishes an offer that binds the seller by two addresses, the same every time', async () => {
    const { url, seller } = await openShop(world)
    const [first, second] = [
      await paymentRequired(await fetch(url, POST)),
      await paymentRequired(await fetch(url, POST)),
    ]
    expect(second).toEqual(first)
    const [requirements] = first.accepts
    const { escrow, token, uptoAdapter } = world.devnet.deployment
    expect(requirements).toMatchObject({ scheme: 'upto', asset: token, payTo: escrow, amount: CAP.toString() })
    const { terms, claimWindow } = seller.offered.offer
    const desk = await world.devnet.contracts.uptoAdapter.deskOf(terms, claimWindow)
    const extra = parseUptoExtra(requirements?.extra)
    expect(extra).toMatchObject({ facilitatorAddress: desk, adapter: uptoAdapter, paymentFlow: 'escrow' })
    expect(terms.node).toBe(world.node.address)
  })

  it('takes the fee from an unmodified client, returns the rest and gives a receipt', async () => {
    const fee = OPG / 100n
    const { url, seller } = await openShop(world, (_request, response) => {
      setSettlementOverrides(response, { amount: fee.toString() })
      response.json({ answer: 42 })
    })
    const before = await world.money()

    const response = await world.payFetch(url, POST)
    const body = await response.text()

    expect(response.status).toBe(200)
    expect(body).toBe('{"answer":42}')
    const { response: paid, opg } = settled(response)
    expect(paid).toMatchObject({ success: true, amount: fee.toString(), payer: world.payer.address })
    const { receipt, signature, signer } = opg.receipt ?? expect.fail('no receipt')
    expect(recoverSigner(receiptDigest(seller.offered.separator, receipt), signature)).toBe(world.node.address)
    expect(signer).toEqual({ kind: 'ecdsa' })
    const { orderId } = opg
    expect(receipt).toMatchObject({ orderId, node: world.node.address, seq: 0n, fee, cumulativeFee: fee })
    expect(receipt.responseHash).toBe(responseHash(Buffer.from(body)))
    await world.untilPaid(before, fee)
    expect(await world.order(orderId)).toBe('closed')
    expect(seller.outboxSize).toBe(0)
  })

  it('sells to a wallet that never sent a transaction: the facilitator sends its approval', async () => {
    const { url } = await openShop(world)
    const wallet = world.devnet.wallets[7]
    await world.devnet.mint(wallet.address, CAP)
    const transactions = await world.devnet.provider.getTransactionCount(wallet.address)
    const response = await wrapFetchWithPayment(fetch, world.clientOf(wallet))(url, POST)
    expect([response.status, refusal(response)]).toEqual([200, undefined])
    expect(await world.devnet.provider.getTransactionCount(wallet.address)).toBe(transactions)
    expect(await world.devnet.contracts.token.balanceOf(wallet.address)).toBe(0n)
  })

  it.each([
    ['another node', { terms: { node: UPTO_PROXY } }, 'terms.node'],
    ['a verifier that it cannot convince', { terms: { verifier: UPTO_PROXY } }, 'terms.verifier'],
    ["another's key", { terms: { evidenceKey: `0x${'11'.repeat(32)}` } }, 'terms.evidenceKey'],
    ['no time to claim', { claimWindow: 60 }, 'claimWindow'],
    ['more time than an order has', { claimWindow: 90 * 86_400 }, 'claimWindow'],
  ] as const)('is not set up with %s', async (_what, options, setting) => {
    await expect(world.seller(options)).rejects.toMatchObject({ code: 'SELLER_SETTING_INVALID', setting })
  })

  it('is not set up where there is no upto proxy', async () => {
    const deployment = { ...world.devnet.deployment, uptoAdapter: null }
    await expect(world.seller({ deployment })).rejects.toMatchObject({ setting: 'deployment.uptoAdapter' })
  })

  it('does not let a route send the money elsewhere', async () => {
    const seller = await world.seller()
    const { scheme, network } = { scheme: seller.scheme, network: seller.offered.network }
    await seller.resourceServer.initialize()
    const build = (payTo: string) =>
      seller.resourceServer.buildPaymentRequirements({ scheme, network, payTo, price: '0.01 OPG' })
    await expect(build(world.payer.address)).rejects.toMatchObject({ setting: 'payTo' })
    expect((await build('')).map(({ payTo }) => payTo)).toEqual([world.devnet.deployment.escrow])
  })

  it('names the request in the receipt: path, body and what the payer signed', async () => {
    const { url, seller } = await openShop(world)
    const payment = await world.sign(url, POST)
    const { opg } = settled(await world.send(url, payment, POST))
    const { permit2Authorization: signed } = payment.payload as {
      permit2Authorization: { deadline: string; spender: string }
    }
    expect(signed.spender).toBe(UPTO_PROXY)
    const expected = requestId({
      orderId: opg.orderId,
      node: seller.offered.offer.terms.node,
      index: 0n,
      requestHash: requestHash('/answer', new Uint8Array()),
      maxFee: CAP,
      expiresAt: Number(signed.deadline),
    })
    expect(opg.receipt?.receipt.requestId).toBe(expected)
  })

  it.each([
    ['nothing, which is the cap', undefined, CAP],
    ['half of the cap', '50%', CAP / 2n],
    ['a fee above the cap', (10n * CAP).toString(), CAP],
    ['150 per cent of the cap', '150%', CAP],
  ])('charges a handler that asks for %s', async (_what, amount, fee) => {
    const { url } = await openShop(world, (_request, response) => {
      if (amount !== undefined) setSettlementOverrides(response, { amount })
      response.json({ answer: 42 })
    })
    const before = await world.money()
    const response = await world.payFetch(url, POST)
    expect(response.status).toBe(200)
    expect(settled(response).response.amount).toBe(fee.toString())
    await world.untilPaid(before, fee)
  })

  it('lets a handler give its answer away', async () => {
    const { url } = await openShop(world, (_request, response) => {
      setSettlementOverrides(response, { amount: '0' })
      response.json({ answer: 42 })
    })
    const before = await world.money()
    const response = await world.payFetch(url, POST)
    expect(response.status).toBe(200)
    expect(settled(response).opg.receipt?.receipt.fee).toBe(0n)
    await world.untilGivenBack(before)
  })

  it.each(['-5', 'all of it', '$0.01', '1.5'])('gives all back where a handler asks for %s', async (amount) => {
    const { url } = await openShop(world, (_request, response) => {
      setSettlementOverrides(response, { amount })
      response.json({ answer: 42 })
    })
    const before = await world.money()
    const response = await world.payFetch(url, POST)
    expect(response.status).toBe(402)
    expect(await response.text()).not.toContain('42')
    expect(refusal(response)).toBe('fee_unusable')
    await world.untilGivenBack(before)
  })

  describe('for one payment one answer', () => {
    it('whatever is sent again, at once or later, here or at another server of the node', async () => {
      const [shop, other] = [await openShop(world), await openShop(world)]
      const before = await world.money()
      const payment = await world.sign(shop.url, POST)
      expect((await world.send(shop.url, payment, POST)).status).toBe(200)
      for (const { url } of [shop, other, shop, other]) {
        const replay = await world.send(url, payment, POST)
        expect(replay.status).toBe(402)
        expect(refusal(replay)).toBe('payment_already_used')
      }
      await world.untilPaid(before, CAP)
      for (const { url } of [shop, other]) {
        expect(refusal(await world.send(url, payment, POST))).toBe('payment_already_used')
      }
      expect([shop.runs, other.runs]).toEqual([1, 0])
    })

    it('two concurrent requests with one header run once', async () => {
      const shop = await openShop(world)
      const before = await world.money()
      const payment = await world.sign(shop.url, POST)
      const responses = await Promise.all(Array.from({ length: 4 }, () => world.send(shop.url, payment, POST)))
      expect(responses.map(({ status }) => status).sort()).toEqual([200, 402, 402, 402])
      expect(shop.runs).toBe(1)
      await world.untilPaid(before, CAP)
    })

    it('two concurrent requests with one header at two servers of the node run once', async () => {
      const shops = [await openShop(world), await openShop(world)]
      const before = await world.money()
      const payment = await world.sign(shops[0]?.url ?? '', POST)
      const responses = await Promise.all(shops.map(({ url }) => world.send(url, payment, POST)))
      expect(responses.map(({ status }) => status).sort()).toEqual([200, 402])
      expect(shops.reduce((sum, { runs }) => sum + runs, 0)).toBe(1)
      await world.untilPaid(before, CAP)
    })
  })

  it('serves many at once, each for its own money', async () => {
    const shop = await openShop(world, answer)
    const before = await world.money()
    const responses = await Promise.all(Array.from({ length: 12 }, () => world.payFetch(shop.url, POST)))
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 200))
    await until(async () => before.payer - (await world.money()).payer === 12n * CAP, 'all is paid')
    expect(shop.runs).toBe(12)
  })
})
