import type { PaymentPayload } from '@x402/core/types'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openShop } from './support/shop.js'
import { SellWorld, paymentRequired, refusal } from './support/world.js'

const POST = { method: 'POST' } as const
const STRANGER = '0x90F79bf6EB2c4f870365E785982E1f101E93b906'

/** A copy of JSON in which the member at `path` is another one. */
function altered(value: unknown, path: readonly string[], change: (old: unknown) => unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return change(value)
  const source = value as Readonly<Record<string, unknown>>
  return { ...source, [key]: altered(source[key], rest, change) }
}

/** Another value of the same kind, which is well formed. */
function other(value: unknown): unknown {
  if (typeof value === 'number') return value + 1
  if (typeof value !== 'string') return undefined
  if (/^0x[0-9a-fA-F]{40}$/.test(value))
    return value.toLowerCase() === STRANGER.toLowerCase() ? `0x${'11'.repeat(20)}` : STRANGER
  if (/^0x/.test(value)) return value.replace(/.{4}$/, (end) => (end === '001b' ? '011c' : '001b'))
  return /^[0-9]+$/.test(value) ? (BigInt(value) + 1n).toString() : `${value}x`
}

/** The paths of all leaves. */
function leaves(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([key, member]) => leaves(member, [...path, key]))
}

describe('a payment that was tampered with', () => {
  let world: SellWorld
  beforeAll(async () => {
    world = await SellWorld.start()
  })
  afterEach(async () => {
    await world.untilAllClosed()
    await world.stopSellers()
  })
  afterAll(() => world.stop())

  it('in any one field opens nothing, runs nothing and does not stand in the way of the true one', async () => {
    const shop = await openShop(world)
    const payment = await world.sign(shop.url, POST)
    const [before, opened] = [await world.money(), await world.opened()]
    const paths = leaves({ accepted: payment.accepted, payload: payment.payload })
    expect(paths.length).toBeGreaterThan(25)
    for (const path of paths) {
      const forged = altered(payment, path, other) as PaymentPayload
      const response = await world.send(shop.url, forged, POST)
      expect([response.status, path]).toEqual([402, path])
    }
    expect(shop.runs).toBe(0)
    expect(await world.opened()).toBe(opened)
    expect(await world.money()).toEqual(before)
    expect(shop.seller.outboxSize).toBe(0)
    expect((await world.send(shop.url, payment, POST)).status).toBe(200)
  })

  it('by leaving any one field out opens nothing and runs nothing', async () => {
    const shop = await openShop(world)
    const payment = await world.sign(shop.url, POST)
    const opened = await world.opened()
    for (const path of leaves({ payload: payment.payload })) {
      const forged = altered(payment, path, () => undefined) as PaymentPayload
      expect([(await world.send(shop.url, forged, POST)).status, path]).toEqual([402, path])
    }
    expect(shop.runs).toBe(0)
    expect(await world.opened()).toBe(opened)
  })

  const step = { phase: 'lock', attempt: `0x${'22'.repeat(32)}`, signature: `0x${'33'.repeat(65)}` }
  it.each([
    ['our own step', { opg: step }],
    ['an empty step', { opg: {} }],
    ['a step that is null', { opg: null }],
    ['a capture', { opg: { ...step, phase: 'capture' } }],
    ['a phase', { phase: 'after-handler' }],
    ['a member that nobody knows', { surprise: 1 }],
  ])('by %s in the payload is refused before anyone is asked', async (_what, injected) => {
    const shop = await openShop(world)
    const payment = await world.sign(shop.url, POST)
    const asked = world.line.asked.length
    const response = await world.send(shop.url, { ...payment, payload: { ...payment.payload, ...injected } }, POST)
    expect(response.status).toBe(402)
    expect(refusal(response)).toBe('invalid_payload')
    expect(shop.runs).toBe(0)
    expect(world.line.asked.length).toBe(asked)
  })

  it('by a phase or a step beside the payload is locked before it runs, like any other', async () => {
    const shop = await openShop(world)
    const payment = await world.sign(shop.url, POST)
    const injected = { phase: 'after-handler', opg: step, settledPhases: ['before-handler'] }
    const asked = world.line.asked.length
    const response = await world.send(shop.url, { ...payment, ...injected }, POST)
    expect(response.status).toBe(200)
    expect(world.line.asked.slice(asked).map(({ phase }) => phase)).toEqual(['lock', 'capture'])
    expect(shop.runs).toBe(1)
  })

  it('by asking for another flow finds no offer', async () => {
    const shop = await openShop(world)
    const payment = await world.sign(shop.url, POST)
    const { extra } = payment.accepted
    for (const paymentFlow of ['authorization', 'upfront', undefined]) {
      const response = await world.send(
        shop.url,
        { ...payment, accepted: { ...payment.accepted, extra: { ...extra, paymentFlow } } },
        POST,
      )
      expect((await paymentRequired(response)).error).toBe('No matching payment requirements')
    }
    expect(shop.runs).toBe(0)
  })

  it('signed for a cheaper offer of the same seller does not buy the dear one', async () => {
    const shop = await openShop(world)
    const payment = await world.sign(shop.url, POST)
    const amount = (BigInt(payment.accepted.amount) / 2n).toString()
    const cheap = await world.client.createPaymentPayload({
      x402Version: 2,
      resource: { url: shop.url },
      accepts: [{ ...payment.accepted, amount }],
    })
    const response = await world.send(shop.url, { ...cheap, accepted: payment.accepted }, POST)
    expect(refusal(response)).toBe('permit2_amount_mismatch')
    expect(shop.runs).toBe(0)
  })

  it('signed for another seller under the same cap does not buy here', async () => {
    const [mine, theirs] = [await openShop(world), await openShop(world, undefined, { claimWindow: 7_200 })]
    const payment = await world.sign(theirs.url, POST)
    const own = await world.sign(mine.url, POST)
    const opened = await world.opened()
    const response = await world.send(mine.url, { ...payment, accepted: own.accepted }, POST)
    expect(refusal(response)).toBe('upto_facilitator_mismatch')
    expect([mine.runs, await world.opened()]).toEqual([0, opened])
  })
})
