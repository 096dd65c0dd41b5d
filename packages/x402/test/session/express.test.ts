import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { payFetch } from '../../src/index.js'
import { FEE, Shop, asking } from '../support/shop.js'

describe('sessions through stock express', () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open()
  })
  afterAll(async () => {
    await shop.close()
  })

  it('opens one order for many requests, and charges what the handler says', async () => {
    const fetch = payFetch(shop.payer, shop.options())
    for (const question of ['one', 'two', 'three']) {
      const response = await fetch(shop.url, asking(question))
      expect(response.status).toBe(200)
      expect(await response.json()).toEqual({ answer: question })
    }
    expect(shop.openings).toHaveLength(1)
    const [order] = await shop.node.store.orders()
    expect(order?.cumulativeFee).toBe(3n * FEE)
    await fetch.close()
  })
})
