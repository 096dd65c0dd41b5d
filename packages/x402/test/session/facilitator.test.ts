import { HTTPFacilitatorClient } from '@x402/core/server'
import { SigningKey } from 'ethers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FacilitatorProcess, startFacilitator } from '../../../node/test/x402/facilitatorProcess.js'
import { pay } from '../../../node/test/x402/stockClient.js'
import { startSession } from '../../../node/test/x402/workOrders.js'
import { facilitatorOpener, payFetch } from '../../src/index.js'
import { errorOf } from '../support/buyer.js'
import { FEE, PATH, Shop, asking } from '../support/shop.js'

describe('sessions whose orders a facilitator opens', () => {
  let shop: Shop
  let facilitator: FacilitatorProcess
  beforeAll(async () => {
    shop = await Shop.open(async ({ devnet, folder, node }) => {
      facilitator = await startFacilitator(devnet, { folder, key: devnet.wallets[4] })
      const nodeKey = new SigningKey(devnet.wallets[1].privateKey)
      const client = new HTTPFacilitatorClient({ url: facilitator.url })
      return facilitatorOpener(client, { nodeKey, separator: node.chain.separator })
    })
  })
  afterAll(async () => {
    await facilitator.stop()
    await shop.close()
  })

  it('asks it once for an order, and for nothing after that', async () => {
    const fetch = payFetch(shop.payer, shop.options())
    const answers = await Promise.all(['a', 'b', 'c'].map((question) => fetch(shop.url, asking(question))))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(facilitator.calls).toBe(1)
    const [order] = await shop.node.store.orders()
    expect(order).toMatchObject({ chain: 'open', cumulativeFee: 3n * FEE })
  })

  it("twin of a first request, with a wrong permit, is refused by itself and does not spoil the payer's", async () => {
    const { devnet, payer } = shop
    const options = { devnet, payer, body: {}, amount: 10n ** 18n, withPermit: true }
    const session = await startSession(shop.url, options)
    const honest = session.paymentFor(PATH, {})
    const permit = honest.payload['permit'] as { readonly deadline: string }
    const forged = { ...permit, signature: `0x${'22'.repeat(64)}1b` }
    const twin = { ...honest, payload: { ...honest.payload, permit: forged } }
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    let answers = 0
    facilitator.beforeAnswer = () => (answers++ === 0 ? held : undefined)
    const calls = facilitator.calls
    const first = pay(shop.url, {}, twin)
    while (facilitator.calls === calls) await sleep(20)
    const second = pay(shop.url, {}, honest)
    // With a shared outcome this one waits too.
    await Promise.race([second, sleep(3_000)])
    release()
    facilitator.beforeAnswer = undefined
    expect([(await first).status, (await second).status]).toEqual([402, 200])
  })

  it('serves nothing on the word of a facilitator that lies', async () => {
    facilitator.mood = 'lying'
    const fetch = payFetch(shop.payer, shop.options({ attempts: 1 }))
    expect(await errorOf(fetch(shop.url, asking('free')))).toMatchObject({ code: 'PAYMENT_UNCERTAIN' })
    expect(shop.handled).not.toContain('free')
    facilitator.mood = 'well'
  })

  it('is paid once where the facilitator opened and its answer was lost', async () => {
    facilitator.mood = 'deaf'
    let tries = 0
    const noting: typeof globalThis.fetch = async (input, init) => {
      if (new Headers(init?.headers).has('payment-signature') && ++tries === 2) facilitator.mood = 'well'
      return globalThis.fetch(input, init)
    }
    const before = await shop.balanceOf(shop.payer.address)
    const fetch = payFetch(shop.payer, shop.options({ fetch: noting }))
    expect((await fetch(shop.url, asking('heard'))).status).toBe(200)
    expect(before - (await shop.balanceOf(shop.payer.address))).toBe(10n ** 18n)
  })
})
