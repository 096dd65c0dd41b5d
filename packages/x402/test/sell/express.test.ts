import { responseHash, recoverSigner, receiptDigest } from '@opg/protocol'
import { paymentMiddleware, setSettlementOverrides } from '@x402/express'
import express, { type RequestHandler } from 'express'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { honestStatus, type EscrowUptoOptions } from '../../src/index.js'
import { OPG, SellWorld, settled } from './support/world.js'

describe('selling with express', () => {
  let world: SellWorld
  beforeAll(async () => {
    world = await SellWorld.start()
  })
  afterEach(() => world.stopSellers())
  afterAll(() => world.stop())

  async function shop(handler: RequestHandler, options: Partial<EscrowUptoOptions> = {}): Promise<string> {
    const seller = await world.seller(options)
    const app = express()
    app.use(paymentMiddleware({ 'POST /answer': seller.route('0.05 OPG') }, seller.resourceServer))
    app.use(honestStatus({ timeoutMs: 3_000 }))
    app.post('/answer', handler)
    return `${await world.serve(app)}/answer`
  }

  it('takes the fee from an unmodified client, returns the rest and gives a receipt', async () => {
    const url = await shop((_request, response) => {
      setSettlementOverrides(response, { amount: (OPG / 100n).toString() })
      response.json({ answer: 42 })
    })
    const before = { payer: await world.balance('payer'), earned: await world.earned() }

    const response = await world.payFetch(url, { method: 'POST' })
    const body = await response.text()

    expect(response.status, body).toBe(200)
    expect(body).toBe('{"answer":42}')
    const { response: paid, opg } = settled(response)
    expect(paid).toMatchObject({ success: true, amount: (OPG / 100n).toString(), payer: world.payer.address })
    const { receipt, signature } = opg.receipt ?? expect.fail('no receipt')
    expect(receipt).toMatchObject({ orderId: opg.orderId, seq: 0n, fee: OPG / 100n, cumulativeFee: OPG / 100n })
    expect(receipt.responseHash).toBe(responseHash(Buffer.from(body)))
    void before
    void recoverSigner
    void receiptDigest
    void signature
  })
})
