import { startDevnet, type Devnet } from '@opg/devnet'
import type { Address, Hex } from '@opg/protocol'
import type { PaymentRequirements } from '@x402/core/types'
import type { Wallet } from 'ethers'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type PayingFetch, payFetch } from '../../src/index.js'
import { buyerOptions, errorOf, fundedPayer, units } from '../support/buyer.js'
import { type Answer, CAP, FEE, Seller } from '../support/seller.js'
import { asking } from '../support/shop.js'

const STRANGER: Address = `0x${'bb'.repeat(20)}`
const ODD: Hex = `0x${'0d'.repeat(32)}`

describe('attacks on a buyer', () => {
  let devnet: Devnet
  let payer: Wallet
  let seller: Seller
  let fetch: PayingFetch

  beforeAll(async () => {
    devnet = await startDevnet()
    payer = await fundedPayer(devnet)
  })
  afterAll(() => devnet.stop())
  beforeEach(async () => {
    seller = await Seller.start(devnet)
    fetch = payFetch(payer, buyerOptions(devnet))
  })
  afterEach(() => seller.stop())

  type Change = (offer: PaymentRequirements) => PaymentRequirements
  const extra =
    (members: Record<string, unknown>): Change =>
    (offer) => ({ ...offer, extra: { ...offer.extra, ...members } })
  const terms =
    (members: Record<string, unknown>): Change =>
    (offer) =>
      extra({ terms: { ...Object(offer.extra['terms']), ...members } })(offer)
  const uptoOffer =
    (change: (offer: { terms: object; claimWindow: number }) => object): Change =>
    (offer) =>
      extra({ offer: change(offer.extra['offer'] as { terms: object; claimWindow: number }) })(offer)

  /** The offer is refused before anything is signed. */
  const refused = async (change: Change, expected: object): Promise<void> => {
    seller.offer = (offer) => [change(offer)]
    expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject(expected)
    expect(seller.arrived).toHaveLength(0)
    expect(await fetch.spentToday()).toBe(0n)
  }

  describe('an offer of work-order', () => {
    const offers: readonly (readonly [name: string, change: Change, field: string])[] = [
      ['pays somebody else', (offer) => ({ ...offer, payTo: STRANGER }), 'payTo'],
      ['asks for another token', (offer) => ({ ...offer, asset: STRANGER }), 'asset'],
      ['is on another chain', (offer) => ({ ...offer, network: 'eip155:1' }), 'network'],
      ['gives no time', (offer) => ({ ...offer, maxTimeoutSeconds: Number.NaN }), 'maxTimeoutSeconds'],
      ['asks for an amount that is none', (offer) => ({ ...offer, amount: '-1' }), 'amount'],
      ['names a verifier without code', terms({ verifier: STRANGER }), 'extra.terms.verifier'],
      ['names no node', terms({ node: `0x${'00'.repeat(20)}` }), 'extra.terms.node'],
      [
        'gives a facilitator more than the cap',
        terms({ facilitator: STRANGER, facilitatorBps: 2_001 }),
        'terms.facilitatorBps',
      ],
      ['would lock money for 90 days', extra({ minSecondsToClaimBy: 90 * 86_400 }), 'extra.minSecondsToClaimBy'],
      ['makes order ids of another chain', extra({ deploymentChainId: 1 }), 'extra.deploymentChainId'],
      ['asks for vouchers that the verifier does not', extra({ vouchers: true }), 'extra.vouchers'],
      ['is none', () => ({ scheme: 'work-order' }) as PaymentRequirements, 'scheme'],
    ]
    it.each(offers)('%s', async (_, change, field) => {
      await refused(change, { code: 'OFFER_REFUSED', field })
    })

    it('names a verifier that is another contract', async () => {
      const { token } = devnet.deployment
      await refused(terms({ verifier: token }), { code: 'OFFER_REFUSED', field: 'extra.terms.verifier' })
    })

    it('asks for more than a request may cost', async () => {
      fetch = payFetch(payer, buyerOptions(devnet, { maxPerRequest: units(CAP - 1n) }))
      await refused((offer) => offer, { code: 'SPEND_LIMIT', limit: 'request', left: CAP - 1n, needed: CAP })
    })

    it('asks for a huge amount', async () => {
      const amount = (2n ** 95n).toString()
      await refused((offer) => ({ ...offer, amount }), { code: 'SPEND_LIMIT', limit: 'request' })
    })

    it("asks for a larger order than the spender locks at once: the least amount is not the seller's to raise", async () => {
      for (const minAmount of [2n ** 95n, 10_001n]) {
        const refusal = { code: 'SPEND_LIMIT', limit: 'session', needed: minAmount }
        await refused(extra({ minAmount: minAmount.toString() }), refusal)
      }
    })
  })

  describe('an offer of upto', () => {
    beforeEach(() => {
      seller.scheme = 'upto'
    })
    const offers: readonly (readonly [name: string, change: Change, field: string])[] = [
      ['pays somebody else', (offer) => ({ ...offer, payTo: STRANGER }), 'payTo'],
      ['asks for another token', (offer) => ({ ...offer, asset: STRANGER }), 'asset'],
      ['names another desk', extra({ facilitatorAddress: STRANGER }), 'extra.facilitatorAddress'],
      ['names another adapter', extra({ adapter: STRANGER }), 'extra.adapter'],
      [
        'shows other terms than the desk stands for',
        uptoOffer((offer) => ({ ...offer, terms: { ...offer.terms, modelId: ODD } })),
        'extra.facilitatorAddress',
      ],
      [
        'shows another claimWindow than the desk stands for',
        uptoOffer((offer) => ({ ...offer, claimWindow: 60 })),
        'extra.facilitatorAddress',
      ],
      [
        'would lock money for 90 days',
        uptoOffer((offer) => ({ ...offer, claimWindow: 90 * 86_400 })),
        'extra.offer.claimWindow',
      ],
    ]
    it.each(offers)('%s', async (_, change, field) => {
      await refused(change, { code: 'OFFER_REFUSED', field })
    })

    it('is not paid a second time by a new signature when the seller says 402 again', async () => {
      seller.attack = (_, { response }) => {
        void seller.demand(response, 'payment_already_used')
        return undefined
      }
      const error = await errorOf(fetch(seller.url, asking('x')))
      expect(error).toMatchObject({ code: 'PAYMENT_REFUSED', reason: 'payment_already_used' })
      expect(seller.arrived).toHaveLength(1)
    })
  })

  describe('a seller', () => {
    it('raises the price between 402 and payment', async () => {
      seller.attack = (_, { response }) => {
        seller.offer = (offer) => [{ ...offer, amount: '1000' }]
        void seller.demand(response, 'No matching payment requirements')
        return undefined
      }
      expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({ code: 'PAYMENT_REFUSED' })
      expect(seller.workOrders.map(({ request }) => request.maxFee)).toEqual([CAP])
    })

    it('asks for payment for ever', async () => {
      seller.attack = (_, { response }) => {
        void seller.demand(response, 'order_exhausted')
        return undefined
      }
      expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({ code: 'PAYMENT_REFUSED' })
      expect(seller.arrived).toHaveLength(2) // once more under a new order, and never again
    })

    it('says "later" for ever', async () => {
      seller.attack = (answer) => ({ ...answer, status: 503, receipt: undefined })
      expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({ code: 'PAYMENT_UNCERTAIN' })
      expect(seller.payments).toHaveLength(1)
    })

    it('says for ever of one payment that it is used: the same call can be paid anew', async () => {
      const body = Buffer.from(JSON.stringify({ error: { code: 'PAYMENT_ALREADY_USED', message: 'used' } }))
      seller.attack = (answer, { response, attempt }) => {
        if (attempt > 1) return { ...answer, status: 409, body, receipt: undefined }
        response.destroy()
        return undefined
      }
      fetch = payFetch(payer, { ...buyerOptions(devnet), attempts: 1 })
      expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({ code: 'PAYMENT_UNCERTAIN' })
      expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({ code: 'PAYMENT_REFUSED' })
      seller.attack = (answer) => answer
      expect(await (await fetch(seller.url, asking('x'))).json()).toEqual({ echo: 'x' })
      expect(seller.payments).toHaveLength(2)
    })

    it('is asked by two callers behind one payer: none gets the answer that the other paid for', async () => {
      seller.attack = (_, { response }) => {
        response.destroy()
        return undefined
      }
      fetch = payFetch(payer, { ...buyerOptions(devnet), attempts: 1 })
      const of = (name: string): RequestInit => asking('x', { headers: { authorization: `Bearer ${name}` } })
      expect(await errorOf(fetch(seller.url, of('a')))).toMatchObject({ code: 'PAYMENT_UNCERTAIN' })
      seller.attack = (answer) => answer
      expect((await fetch(seller.url, of('b'))).status).toBe(200)
      expect(seller.payments).toHaveLength(2)
    })

    it.each([301, 302, 307, 308])('redirects a payment to another host (%i)', async (status) => {
      const other = await Seller.start(devnet, devnet.wallets[4])
      seller.attack = (_, { response }) => {
        response.writeHead(status, { location: other.url }).end()
        return undefined
      }
      expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({ code: 'ANSWER_REFUSED', field: 'status' })
      expect(other.arrived).toHaveLength(0)
      await other.stop()
    })

    it('redirects to another host that asks for payment', async () => {
      const other = await Seller.start(devnet, devnet.wallets[4])
      seller.onUnpaid = (response) => response.writeHead(307, { location: other.url }).end()
      expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({ code: 'OFFER_REFUSED', field: 'origin' })
      expect(other.arrived).toHaveLength(0)
      expect(await fetch.spentToday()).toBe(0n)
      await other.stop()
    })

    it('answers more than is taken', async () => {
      fetch = payFetch(payer, buyerOptions(devnet, { maxAnswerBytes: 10 }))
      expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({ code: 'ANSWER_REFUSED', field: 'body' })
    })

    it('compresses, so that the receipt would cover other bytes', async () => {
      seller.attack = (answer) => ({ ...answer, headers: { ...answer.headers, 'content-encoding': 'gzip' } })
      expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({
        code: expect.stringMatching(/ANSWER_REFUSED|PAYMENT_UNCERTAIN/) as string,
      })
    })
  })

  type Lie = (answer: Answer) => Answer
  const receipt =
    (change: (receipt: NonNullable<Answer['receipt']>['receipt']) => object): Lie =>
    (answer) => {
      if (answer.receipt === undefined) throw new TypeError('no receipt')
      const honest = answer.receipt.receipt
      return { ...answer, receipt: seller.sign({ ...honest, ...change(honest) }) }
    }

  describe.each(['header', 'stream'])('a receipt in the %s', (where) => {
    beforeEach(() => {
      seller.isStream = where === 'stream'
    })
    const ask = async (body = 'x'): Promise<string> => (await fetch(seller.url, asking(body))).text()

    it('is missing', async () => {
      seller.attack = (answer) => ({ ...answer, receipt: undefined })
      expect(await errorOf(ask())).toMatchObject({ code: 'ANSWER_REFUSED', field: 'receipt' })
    })

    it('is signed by somebody else', async () => {
      seller.attack = (answer) => {
        if (answer.receipt === undefined) throw new TypeError('no receipt')
        return { ...answer, receipt: seller.sign(answer.receipt.receipt, devnet.wallets[9]) }
      }
      expect(await errorOf(ask())).toMatchObject({ code: 'RECEIPT_INVALID', field: 'signature' })
    })

    it('is of another order', async () => {
      seller.attack = receipt(() => ({ orderId: ODD }))
      expect(await errorOf(ask())).toMatchObject({ code: 'RECEIPT_INVALID', field: 'receipt.orderId' })
    })

    it('is for another answer', async () => {
      seller.attack = (answer) => ({ ...answer, body: Buffer.from('data: altered\n\n') })
      expect(await errorOf(ask())).toMatchObject({ code: 'RECEIPT_INVALID', field: 'receipt.responseHash' })
    })

    const frauds: readonly (readonly [name: string, change: Parameters<typeof receipt>[0], kind: string])[] = [
      ['charges more than was signed', () => ({ fee: CAP + 1n, cumulativeFee: CAP + 1n }), 'fee-over-max'],
      ['does not add up', (honest) => ({ cumulativeFee: honest.cumulativeFee + 1n }), 'cumulative-mismatch'],
      ['is for a request that nobody made', () => ({ requestId: ODD }), 'unrequested'],
      ['leaves a number out', () => ({ seq: 7n }), 'seq-out-of-line'],
    ]
    it.each(frauds)('%s: the host is not paid again', async (_, change, kind) => {
      seller.attack = receipt(change)
      expect(await errorOf(ask())).toMatchObject({ code: 'FRAUD_FOUND', proof: { kind } })
      seller.attack = (answer) => answer
      expect(await errorOf(ask('again'))).toMatchObject({ code: 'HOST_BLOCKED' })
      expect(seller.arrived).toHaveLength(1)
    })

    it('uses a number twice: the host is not paid again', async () => {
      await ask('first')
      seller.attack = receipt(() => ({ seq: 0n, cumulativeFee: FEE }))
      expect(await errorOf(ask('second'))).toMatchObject({
        code: 'FRAUD_FOUND',
        proof: { kind: 'two-receipts-one-seq' },
      })
      expect(await errorOf(ask('third'))).toMatchObject({ code: 'HOST_BLOCKED' })
    })
  })

  it('a receipt of upto that charges more than the cap', async () => {
    seller.scheme = 'upto'
    seller.fee = CAP + 1n
    expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({
      code: 'FRAUD_FOUND',
      proof: { kind: 'over-amount' },
    })
    expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject({ code: 'HOST_BLOCKED' })
  })

  it('a caller that hides a payment of its own in the headers', async () => {
    const init = asking('x', { headers: { 'payment-signature': 'e30=' } })
    expect(await errorOf(fetch(seller.url, init))).toMatchObject({ code: 'OFFER_REFUSED' })
    expect(seller.arrived).toHaveLength(0)
  })

  describe('limits in a folder', () => {
    let folder: string
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'opg-limits-'))
    })
    afterEach(() => rm(folder, { recursive: true }))

    it('outlive the process, and so does what it knows of a fraud', async () => {
      const options = buyerOptions(devnet, { folder, maxPerDay: units(1_500n) })
      fetch = payFetch(payer, options)
      await fetch(seller.url, asking('one'))
      await fetch.close()
      const next = payFetch(payer, options)
      expect(await next.spentToday()).toBe(1_000n)
      await next(seller.url, asking('two')) // an order of the 500 that are left
      expect(await next.spentToday()).toBe(1_500n)
      expect(seller.workOrders.map(({ order }) => order.amount)).toEqual([1_000n, 500n])
      const other = await Seller.start(devnet, devnet.wallets[4])
      const error = await errorOf(next(other.url, asking('three')))
      expect(error).toMatchObject({ code: 'SPEND_LIMIT', limit: 'day', left: 0n })
      await other.stop()
      seller.attack = receipt(() => ({ fee: CAP + 1n, cumulativeFee: CAP + 1n }))
      await errorOf(next(seller.url, asking('four')))
      await next.close()
      const last = payFetch(payer, options)
      expect(await errorOf(last(seller.url, asking('five')))).toMatchObject({ code: 'HOST_BLOCKED' })
      expect((await readdir(folder)).filter((name) => name.endsWith('.jsonl'))).toHaveLength(2)
    })

    it('hold for two processes at once', async () => {
      const { rpcUrl, deployment } = devnet
      const env = {
        ...process.env,
        RPC_URL: rpcUrl,
        ESCROW: deployment.escrow,
        PAYER_KEY: payer.privateKey,
        FOLDER: folder,
        SELLER_URL: seller.url,
      }
      const script = join(import.meta.dirname, '../support/buyerProcess.ts')
      const run = async (): Promise<string> =>
        (await promisify(execFile)(process.execPath, ['--import', 'tsx', script], { env })).stdout
      const printed = await Promise.all([run(), run()])
      const [first, second] = printed.map((text) => JSON.parse(text) as { paid: number; refused: number })
      // Orders of 60 pay for two requests of at most 50 that cost 10; 600 are ten orders, for both together.
      expect((first?.paid ?? 0) + (second?.paid ?? 0)).toBe(20)
      const orders = new Map(seller.workOrders.map(({ order, request }) => [request.orderId, order.amount]))
      expect([...orders.values()].reduce((sum, amount) => sum + amount, 0n)).toBe(600n)
    })
  })

  it('limits of one host leave others alone', async () => {
    fetch = payFetch(payer, buyerOptions(devnet, { maxPerHost: units(60n), sessionAmount: units(60n) }))
    const other = await Seller.start(devnet, devnet.wallets[4])
    await fetch(seller.url, asking('one'))
    await fetch(seller.url, asking('two'))
    expect(await errorOf(fetch(seller.url, asking('three')))).toMatchObject({ code: 'SPEND_LIMIT', limit: 'host' })
    expect((await fetch(other.url, asking('one'))).status).toBe(200)
    await other.stop()
  })
})
