import { InferenceEscrow__factory } from '@opg/bindings'
import {
  EMPTY_ROOT,
  type WorkOrderPayment,
  domainSeparator,
  parseOpg,
  parseWorkOrderPayment,
  structDigest,
} from '@opg/protocol'
import type { PaymentPayload } from '@x402/core/types'
import { type Wallet, concat, toBeHex } from 'ethers'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type KillableNode, createKillableNode } from '../../../node/test/e2e/killableNode.js'
import { type Shop, TEXT, openShop, until } from '../../../node/test/x402/shop.js'
import { type PayFetchOptions, payFetch } from '../../src/index.js'
import { buyerOptions, errorOf } from '../support/buyer.js'
import { CAP, Seller } from '../support/seller.js'
import { asking } from '../support/shop.js'

const PRICE_AT_LEAST = parseOpg('0.001')
const infer = asking(JSON.stringify(TEXT))

/** With opg-node and opg-facilitator in processes of their own. */
describe('a session whose payer signs vouchers', () => {
  let shop: Shop
  let node: KillableNode
  let payer: Wallet
  /** What payments said, in the order in which they were sent. */
  let sent: WorkOrderPayment[]
  /** What the payer does to a payment before it leaves. */
  let alter: (payment: Record<string, unknown>) => Record<string, unknown>

  beforeAll(async () => {
    shop = await openShop()
    node = await createKillableNode({ ...shop.environment, OPG_NODE_OFFER_VERIFIER: 'voucher' })
    await node.start()
  })
  afterAll(async () => {
    await node.stop()
    await shop.stop()
  })
  beforeEach(async () => {
    payer = await shop.payer()
    sent = []
    alter = (payment) => payment
  })

  const altering: typeof globalThis.fetch = (input, init) => {
    const headers = new Headers(init?.headers)
    const header = headers.get('payment-signature')
    if (header === null) return globalThis.fetch(input, init)
    const payment = JSON.parse(Buffer.from(header, 'base64').toString()) as PaymentPayload
    const payload = alter(payment.payload)
    sent.push(parseWorkOrderPayment(payload))
    headers.set('payment-signature', Buffer.from(JSON.stringify({ ...payment, payload })).toString('base64'))
    return globalThis.fetch(input, { ...init, headers })
  }
  const options = (overrides: Partial<PayFetchOptions> = {}): PayFetchOptions => ({
    rpcUrl: shop.devnet.rpcUrl,
    escrow: shop.devnet.deployment.escrow,
    maxPerDay: '0.5',
    sessionAmount: '0.1',
    fetch: altering,
    ...overrides,
  })
  const vouched = (): (bigint | undefined)[] => sent.map(({ voucher }) => voucher?.voucher.maxCumulativeFee)

  it('pays for each answer with a voucher for what was used, and is settled on chain by the last of them', async () => {
    const fetch = payFetch(payer, options())
    const before = await shop.balance(payer.address)
    for (let i = 0; i < 3; i++) expect((await fetch(`${node.url}/v1/infer`, infer)).status).toBe(200)
    const [orderId, ...others] = await shop.ordersOf(payer.address)
    expect(others).toEqual([])
    expect(sent.map(({ terms }) => terms.verifier)).toEqual(
      sent.map(() => shop.devnet.deployment.voucherReceiptVerifier),
    )
    expect(await fetch.close()).toMatchObject([{ orderId, status: 'closing' }])
    await until(() => shop.isClosed(orderId))
    const spent = before - (await shop.balance(payer.address))
    expect(spent).toBeGreaterThanOrEqual(3n * PRICE_AT_LEAST)
    // Each voucher is for what was billed before it and the most that its own request may cost: never the whole order.
    const [first = 0n, second = 0n, third = 0n] = vouched()
    const maxFee = sent[0]?.request.maxFee ?? 0n
    expect([first, second, third]).toEqual([maxFee, spent / 3n + maxFee, (2n * spent) / 3n + maxFee])
    expect(spent).toBeLessThanOrEqual(third)
  })

  it('covers requests that run at once', async () => {
    const fetch = payFetch(payer, options())
    const answers = await Promise.all(Array.from({ length: 8 }, () => fetch(`${node.url}/v1/infer`, infer)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const [orderId] = await shop.ordersOf(payer.address)
    await fetch.close()
    await until(() => shop.isClosed(orderId))
  })

  it('the payer withholds the voucher: nothing more is served, and what was proved is paid', async () => {
    const fetch = payFetch(payer, options({ attempts: 1 }))
    const before = await shop.balance(payer.address)
    expect((await fetch(`${node.url}/v1/infer`, infer)).status).toBe(200)
    alter = ({ voucher: _, ...payment }) => payment
    const reason = expect.stringMatching(/voucher.required/i) as string
    expect(await errorOf(fetch(`${node.url}/v1/infer`, infer))).toMatchObject({ code: 'PAYMENT_REFUSED', reason })
    const [orderId] = await shop.ordersOf(payer.address)
    await fetch.close()
    await until(() => shop.isClosed(orderId))
    const spent = before - (await shop.balance(payer.address))
    expect(spent).toBeGreaterThanOrEqual(PRICE_AT_LEAST)
    expect(spent).toBeLessThan(2n * PRICE_AT_LEAST)
  })

  it('the payer sends the voucher of before again: it is too low, and nothing is served', async () => {
    const fetch = payFetch(payer, options({ attempts: 1 }))
    expect((await fetch(`${node.url}/v1/infer`, infer)).status).toBe(200)
    let kept: unknown
    alter = (payment) => {
      const { voucher } = payment
      kept ??= voucher
      return payment
    }
    expect((await fetch(`${node.url}/v1/infer`, infer)).status).toBe(200)
    alter = (payment) => ({ ...payment, voucher: kept })
    const refused = await errorOf(fetch(`${node.url}/v1/infer`, infer))
    expect(refused).toMatchObject({
      code: 'PAYMENT_REFUSED',
      reason: expect.stringMatching(/voucher.too.low/i) as string,
    })
  })

  it('a stranger signs the voucher: nothing is served', async () => {
    const fetch = payFetch(payer, options({ attempts: 1 }))
    alter = (payment) => ({ ...payment, voucher: { ...Object(payment['voucher']), signature: `0x${'11'.repeat(65)}` } })
    const refused = await errorOf(fetch(`${node.url}/v1/infer`, infer))
    expect(refused).toMatchObject({
      code: 'PAYMENT_REFUSED',
      reason: expect.stringMatching(/voucher.invalid/i) as string,
    })
  })

  it('the node settles more than the payer agreed to: the chain refuses', async () => {
    const fetch = payFetch(payer, options())
    expect((await fetch(`${node.url}/v1/infer`, infer)).status).toBe(200)
    const [payment] = sent
    if (payment?.voucher === undefined) throw new TypeError('no voucher was sent')
    const { terms, order, voucher, request } = payment
    const { devnet } = shop
    const key = devnet.wallets.find(({ address }) => address === terms.node)
    if (key === undefined) throw new TypeError('the node has another key')
    const separator = domainSeparator({ chainId: BigInt(devnet.chainId), escrow: devnet.deployment.escrow })
    const escrow = InferenceEscrow__factory.connect(devnet.deployment.escrow, key)
    /** Everything that the node can say by itself, with the voucher as it is or raised. */
    const settling = (cumulativeFee: bigint, claimed: bigint) => {
      const row = { cumulativeFee, receiptsRoot: EMPTY_ROOT, receiptCount: 0n, close: false }
      const { node, evidenceKey } = terms
      const batch = { node, evidenceKey, settlements: [{ ...row, orderId: request.orderId }] }
      const digest = structDigest(separator, { name: 'SettlementBatch', value: batch })
      const evidence = concat([key.signingKey.sign(digest).serialized, toBeHex(claimed, 12), voucher.signature])
      return escrow.settle.staticCall(terms, [{ order, ...row }], evidence)
    }
    const allowed = voucher.voucher.maxCumulativeFee
    await expect(settling(allowed, allowed)).resolves.toBeDefined()
    await expect(settling(allowed + 1n, allowed)).rejects.toThrow(/EvidenceRefused/)
    await expect(settling(allowed + 1n, allowed + 1n)).rejects.toThrow(/EvidenceRefused/)
    await expect(settling(order.amount, order.amount)).rejects.toThrow(/EvidenceRefused/)
  })

  it('the node asks for more than was used: the payer takes it for fraud, and signs no voucher any more', async () => {
    const seller = await Seller.start(shop.devnet)
    try {
      seller.offer = ({ extra, ...offer }) => {
        const terms = { ...Object(extra['terms']), verifier: shop.devnet.deployment.voucherReceiptVerifier } as object
        return [{ ...offer, extra: { ...extra, terms, vouchers: true } }]
      }
      const fetch = payFetch(payer, buyerOptions(shop.devnet))
      expect((await fetch(seller.url, asking('honest'))).status).toBe(200)
      seller.fee = CAP + 1n
      expect(await errorOf(fetch(seller.url, asking('dear')))).toMatchObject({ code: 'FRAUD_FOUND' })
      const [first, second] = seller.workOrders
      expect(first?.voucher?.voucher.maxCumulativeFee).toBe(CAP)
      expect(second?.voucher?.voucher.maxCumulativeFee).toBe(10n + CAP)
      const asked = seller.arrived.length
      expect(await errorOf(fetch(seller.url, asking('again')))).toMatchObject({ code: 'HOST_BLOCKED' })
      expect(seller.arrived).toHaveLength(asked)
    } finally {
      await seller.stop()
    }
  })

  it.each([
    ['asks for vouchers where the verifier does not', 'keyReceiptVerifier', true],
    ['asks for none where the verifier does', 'voucherReceiptVerifier', false],
  ] as const)('an offer that %s is refused, with nothing signed', async (_, verifier, vouchers) => {
    const seller = await Seller.start(shop.devnet)
    try {
      seller.offer = ({ extra, ...offer }) => {
        const terms = { ...Object(extra['terms']), verifier: shop.devnet.deployment[verifier] } as object
        return [{ ...offer, extra: { ...extra, terms, vouchers } }]
      }
      const fetch = payFetch(payer, buyerOptions(shop.devnet))
      const expected = { code: 'OFFER_REFUSED', field: 'extra.vouchers' }
      expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject(expected)
      expect(seller.arrived).toHaveLength(0)
    } finally {
      await seller.stop()
    }
  })
})
