import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startCli, type RunningCli } from '../cli/testEdge.js'
import { speak } from '../standInLlm.js'
import { CHAT, OPG, TEXT, openShop, until, type Shop } from './shop.js'
import { pay, signPayment, verdict } from './stockClient.js'
import { startSession } from './workOrders.js'

const PATH = '/v1/infer'

describe('twins of a payment, sent first by whoever saw or guessed its order', () => {
  let shop: Shop
  let serving: RunningCli
  let url: string
  let release = (): void => undefined

  beforeAll(async () => {
    shop = await openShop()
    shop.llm.behave(speak(['Hello'], { prompt: 5, completion: 1 }))
    serving = startCli(['serve', '--json'], { ...shop.environment, OPG_NODE_FACILITATOR_TIMEOUT_SECONDS: '20' })
    url = ((await serving.line()) as { url: string }).url
  }, 120_000)
  afterAll(async () => {
    serving.stop()
    await serving.done
    await shop.stop()
  })
  // The facilitator's first answer is held back until both payments have arrived.
  beforeEach(() => {
    const held = new Promise<void>((resolve) => (release = resolve))
    let answers = 0
    shop.facilitator.beforeAnswer = () => (answers++ === 0 ? held : undefined)
  })
  afterEach(() => {
    release()
    shop.facilitator.beforeAnswer = undefined
  })

  const race = async (
    path: string,
    body: unknown,
    twin: object,
    honest: object,
  ): Promise<readonly [string, string]> => {
    const before = shop.facilitator.calls
    const send = async (payment: object): Promise<string> =>
      verdict(await pay(url + path, body, Buffer.from(JSON.stringify(payment)).toString('base64')))
    const first = send(twin)
    await until(() => shop.facilitator.calls === before + 1)
    const second = send(honest)
    // With a shared outcome there is no second call: then this falls through, and the verdicts tell.
    await Promise.race([second, new Promise((resolve) => setTimeout(resolve, 3_000))])
    release()
    return Promise.all([first, second])
  }

  it('upto, with a broken approval: refused by itself, and the honest payment is served and charged', async () => {
    const payer = await shop.payer()
    const honest = await signPayment(payer, `${url}/v1/chat/completions`, CHAT)
    const info = { from: payer.address, signature: '0x12' }
    const twin = { ...honest, extensions: { eip2612GasSponsoring: { info } } }
    expect(await race('/v1/chat/completions', CHAT, twin, honest)).toEqual(['402 LOCK_REFUSED', '200'])
    const [orderId] = await shop.ordersOf(payer.address)
    await until(() => shop.isClosed(orderId))
    expect(await shop.balance(payer.address)).toBeLessThan(OPG)
  })

  it('work order, with a wrong permit: refused by itself, and the honest session goes on', async () => {
    const payer = await shop.payer()
    const options = { devnet: shop.devnet, payer, body: TEXT, amount: OPG / 10n, withPermit: true }
    const session = await startSession(url + PATH, options)
    const honest = session.paymentFor(PATH, TEXT)
    const permit = honest.payload['permit'] as { readonly deadline: string }
    const twin = {
      ...honest,
      payload: { ...honest.payload, permit: { ...permit, signature: `0x${'22'.repeat(64)}1b` } },
    }
    expect(await race(PATH, TEXT, twin, honest)).toEqual(['402 LOCK_REFUSED', '200'])
  })
})
