import { serve } from '@hono/node-server'
import { x402Facilitator } from '@x402/core/facilitator'
import { paymentMiddleware, x402ResourceServer } from '@x402/hono'
import { Hono } from 'hono'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { payFetch } from '../../src/index.js'
import { PRICE, Shop, asking } from '../support/shop.js'

describe('sessions in other stock servers', () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open()
  })
  afterAll(() => shop.close())

  it('hono pays out stored answers too, behind a stock x402Facilitator', async () => {
    const { network, scheme } = shop.facilitator
    const facilitator = new x402Facilitator().register(network, shop.facilitator)
    const { escrow } = shop.devnet.deployment
    const app = new Hono()
    const accepts = { scheme, network, payTo: escrow, price: PRICE }
    const client = {
      verify: facilitator.verify.bind(facilitator),
      settle: facilitator.settle.bind(facilitator),
      getSupported: () => shop.facilitator.getSupported(),
    }
    expect(facilitator.getSupported().kinds).toMatchObject([{ scheme: 'work-order', network }])
    app.use(
      paymentMiddleware({ 'POST /ask': { accepts } }, new x402ResourceServer(client).register(network, shop.scheme)),
    )
    let runs = 0
    app.post('/ask', async (context) => {
      runs++
      return context.json({ heard: await context.req.json() })
    })
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' })
    try {
      await new Promise((resolve) => server.once('listening', resolve))
      const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/ask`
      let header = ''
      const noting: typeof globalThis.fetch = (input, init) => {
        header = new Headers(init?.headers).get('payment-signature') ?? header
        return globalThis.fetch(input, init)
      }
      const fetch = payFetch(shop.payer, shop.options({ fetch: noting }))
      const body = '{ "q": [1, 2] }' // spaces that a body written anew would not have
      const answer = await fetch(url, asking(body))
      expect(await answer.json()).toEqual({ heard: { q: [1, 2] } })
      const again = await globalThis.fetch(url, asking(body, { headers: { 'payment-signature': header } }))
      expect(await again.json()).toEqual({ heard: { q: [1, 2] } })
      expect(runs).toBe(1)
    } finally {
      server.close()
    }
  })
})
