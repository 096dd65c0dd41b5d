import type { PaymentRequirements } from '@x402/core/types'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LockStep } from '@opg/protocol'
import { OPG, ServiceWorld, withStep, type Paid, type RunningService } from '../support/serviceWorld.js'

/** Whoever saw a payment, or guessed it from its offer, has all but its signature. A seller's attempt may reach him too. */
describe('a twin of a payment at an attempt that is under way', () => {
  let world: ServiceWorld
  let running: RunningService

  beforeAll(async () => {
    world = await ServiceWorld.start()
    running = await world.startService()
  })
  afterAll(async () => {
    await running.close()
    await world.stop()
  })

  interface UnderWay {
    readonly requirements: PaymentRequirements
    readonly paid: Paid
    readonly step: LockStep
  }

  async function upto(): Promise<UnderWay> {
    const requirements = world.uptoRequirements()
    const paid = await world.pay(requirements)
    return { requirements, paid, step: world.lockStep(world.uptoOrderId(paid)) }
  }

  async function session(): Promise<UnderWay> {
    const requirements = world.sessionRequirements()
    const opening = await world.chain.opening()
    return { requirements, paid: await world.session(requirements, opening), step: world.lockStep(opening.orderId) }
  }

  const settle = ({ requirements, step }: UnderWay, paid: Paid, { client } = running) =>
    client.settle(withStep(paid, step), requirements)

  const forge = (paid: Paid, changes: object): Paid => ({ ...paid, payload: { ...paid.payload, ...changes } })
  const FORGED = `0x${'34'.repeat(64)}1b`

  it('with a forged signature is not told that the order is locked; the true one is, again and again', async () => {
    const one = await upto()
    expect(await settle(one, one.paid)).toMatchObject({ success: true })
    expect(await settle(one, forge(one.paid, { signature: FORGED }))).toMatchObject({
      success: false,
      errorReason: 'invalid_permit2_signature',
    })
    expect(await settle(one, one.paid)).toMatchObject({ success: true })
  })

  it('with the signature of another payment of the same payer: the same', async () => {
    const [one, other] = [await upto(), await upto()]
    expect(await settle(one, one.paid)).toMatchObject({ success: true })
    const signature: unknown = other.paid.payload['signature']
    expect(await settle(one, forge(one.paid, { signature }))).toMatchObject({
      errorReason: 'invalid_permit2_signature',
    })
  })

  it('with another time than was signed, which the order does not show', async () => {
    const one = await upto()
    expect(await settle(one, one.paid)).toMatchObject({ success: true })
    const authorization = one.paid.payload['permit2Authorization'] as { readonly witness: object }
    const permit2Authorization = { ...authorization, witness: { ...authorization.witness, validAfter: '1' } }
    const twin = forge(one.paid, { permit2Authorization })
    expect(world.uptoOrderId(twin)).toBe(world.uptoOrderId(one.paid))
    expect(await settle(one, twin)).toMatchObject({ errorReason: 'invalid_permit2_signature' })
  })

  it('of a session, with a forged permit', async () => {
    const one = await session()
    expect(await settle(one, one.paid)).toMatchObject({ success: true })
    const permit = { ...(one.paid.payload['permit'] as object), signature: FORGED }
    expect(await settle(one, forge(one.paid, { permit }))).toMatchObject({ errorReason: 'invalid_permit2_signature' })
    expect(await settle(one, one.paid)).toMatchObject({ success: true })
  })

  it('before the order is open: it is not told to wait either', async () => {
    const hasty = await world.startService({ engine: running.engine, lockTimeoutMs: 300 })
    await world.chain.devnet.setAutomine(false)
    const one = await upto()
    const told = [
      await settle(one, one.paid, hasty),
      await settle(one, forge(one.paid, { signature: FORGED }), hasty),
    ].map(({ errorReason }) => errorReason)
    await world.chain.devnet.setAutomine(true)
    await world.chain.devnet.mine()
    expect(told).toEqual(['lock_pending', 'invalid_permit2_signature'])
    expect(await settle(one, one.paid)).toMatchObject({ success: true })
    await hasty.close()
  })

  it('the true one is still told, though its payer has no money any more', async () => {
    const payer = world.chain.devnet.wallets[5]
    await world.chain.fund(payer, OPG)
    const requirements = world.uptoRequirements()
    const paid = await world.pay(requirements, { wallet: payer })
    const one = { requirements, paid, step: world.lockStep(world.uptoOrderId(paid)) }
    expect(await settle(one, paid)).toMatchObject({ success: true })
    expect(await world.chain.balance(payer.address)).toBe(0n)
    expect(await settle(one, paid)).toMatchObject({ success: true })
  })
})
