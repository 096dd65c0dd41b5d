import type { Hex } from '@opg/protocol'
import type { PaymentRequirements } from '@x402/core/types'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../engine/support/world.js'
import { OPG, ServiceWorld, withStep, type Paid, type RunningService } from '../support/serviceWorld.js'

describe('settle', () => {
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

  interface Locked {
    readonly paid: Paid
    readonly requirements: PaymentRequirements
    readonly orderId: Hex
  }
  const lockOne = async (): Promise<Locked> => {
    const requirements = world.uptoRequirements()
    const paid = await world.pay(requirements)
    const orderId = world.uptoOrderId(paid)
    const answer = await running.client.settle(withStep(paid, world.lockStep(orderId)), requirements)
    expect(answer).toMatchObject({ success: true })
    return { paid, requirements, orderId }
  }

  it('locks a stock payment, and captures what the node proves; the rest goes back', async () => {
    const requirements = world.uptoRequirements()
    const paid = await world.pay(requirements)
    const orderId = world.uptoOrderId(paid)
    const before = await world.chain.balance(world.chain.payer.address)
    const locked = await running.client.settle(withStep(paid, world.lockStep(orderId)), requirements)
    expect(locked).toMatchObject({
      success: true,
      network: 'eip155:31337',
      payer: world.chain.payer.address,
      amount: OPG.toString(),
      extra: { opg: { orderId, state: 'locked' } },
    })
    expect(locked.transaction).toMatch(/^0x[0-9a-f]{64}$/)
    expect(await world.chain.chainOrder(orderId)).toBe('open')

    const step = world.captureStep({ orderId, terms: world.chain.terms() }, OPG / 4n)
    // As a stock server asks: for the fee, and not for the cap.
    const fee = { ...requirements, amount: (OPG / 4n).toString() }
    const captured = await running.client.settle(withStep(paid, step), fee)
    expect(captured).toMatchObject({
      success: true,
      amount: (OPG / 4n).toString(),
      extra: { opg: { orderId, state: 'queued' } },
    })
    await eventually(async () => (await world.chain.chainOrder(orderId)) === 'closed')
    expect(await world.chain.settledFees(orderId)).toEqual([OPG / 4n])
    expect(await world.chain.balance(world.chain.payer.address)).toBe(before - OPG / 4n)
    await eventually(async () => {
      const again = await running.client.settle(withStep(paid, step), fee)
      expect(again.success).toBe(true)
      return (again.extra as { readonly opg: { readonly state: string } }).opg.state === 'captured'
    })
  })

  it('a fee of zero releases the whole order', async () => {
    const { paid, requirements, orderId } = await lockOne()
    const step = world.captureStep({ orderId, terms: world.chain.terms() }, 0n)
    expect(await running.client.settle(withStep(paid, step), requirements)).toMatchObject({
      success: true,
      amount: '0',
    })
    await eventually(async () => (await world.chain.chainOrder(orderId)) === 'closed')
  })

  it('replay of a payment header: the same attempt is locked again, another is refused', async () => {
    const requirements = world.uptoRequirements()
    const paid = await world.pay(requirements)
    const orderId = world.uptoOrderId(paid)
    const [step, other] = [world.lockStep(orderId), world.lockStep(orderId)]
    const both = await Promise.all([step, other].map((one) => running.client.settle(withStep(paid, one), requirements)))
    expect(both.map(({ success }) => success).sort()).toEqual([false, true])
    expect(both.find(({ success }) => !success)).toMatchObject({ errorReason: 'payment_already_used' })
    const [first, second] = both[0]?.success === true ? [step, other] : [other, step]
    expect(await running.client.settle(withStep(paid, first), requirements)).toMatchObject({ success: true })
    expect(await running.client.settle(withStep(paid, second), requirements)).toMatchObject({
      success: false,
      errorReason: 'payment_already_used',
    })
  })

  it('twin of a payment with another signature, for the attempt that locked it: it is not that payment', async () => {
    const requirements = world.uptoRequirements()
    const paid = await world.pay(requirements)
    const orderId = world.uptoOrderId(paid)
    const step = world.lockStep(orderId)
    expect(await running.client.settle(withStep(paid, step), requirements)).toMatchObject({ success: true })
    const forged = structuredClone(paid)
    const payload = forged.payload as { signature: string }
    payload.signature = `${payload.signature.slice(0, 20)}${payload.signature[20] === '0' ? '1' : '0'}${payload.signature.slice(21)}`
    expect(await running.client.settle(withStep(forged, step), requirements)).toMatchObject({ success: false })
    expect(await running.client.settle(withStep(paid, step), requirements)).toMatchObject({ success: true })
  })

  it('replay where the facilitator’s books are others: what is open on chain is used', async () => {
    const { paid, requirements, orderId } = await lockOne()
    const fresh = await world.startService()
    const answer = await fresh.client.settle(withStep(paid, world.lockStep(orderId)), requirements)
    expect(answer).toMatchObject({ success: false, errorReason: 'payment_already_used' })
    await fresh.close()
  })

  it('client writes the seller’s step itself: without the node’s signature nothing is locked', async () => {
    const requirements = world.uptoRequirements()
    const paid = await world.pay(requirements)
    const orderId = world.uptoOrderId(paid)
    const step = world.lockStep(orderId, { by: world.chain.payer })
    expect(await running.client.settle(withStep(paid, step), requirements)).toMatchObject({
      success: false,
      errorReason: 'seller_step_invalid',
    })
    expect(await running.client.settle(paid, requirements)).toMatchObject({ errorReason: 'seller_step_missing' })
    const malformed = { ...paid, payload: { ...paid.payload, opg: { phase: 'refund' } } }
    expect(await running.client.settle(malformed, requirements)).toMatchObject({ errorReason: 'seller_step_invalid' })
    expect(await world.chain.chainOrder(orderId)).toBe('none')
  })

  it('a lock step of one order does not lock another', async () => {
    const requirements = world.uptoRequirements()
    const [one, other] = [await world.pay(requirements), await world.pay(requirements)]
    const step = world.lockStep(world.uptoOrderId(one))
    expect(await running.client.settle(withStep(other, step), requirements)).toMatchObject({
      errorReason: 'seller_step_invalid',
    })
  })

  describe('capture', () => {
    let locked: Locked
    beforeAll(async () => {
      locked = await lockOne()
    })
    const capture = (step: ReturnType<ServiceWorld['captureStep']>) =>
      running.client.settle(withStep(locked.paid, step), locked.requirements)
    const stepOf = (fee: bigint) => world.captureStep({ orderId: locked.orderId, terms: world.chain.terms() }, fee)

    it('evidence of somebody else: evidence_invalid, and the order stays', async () => {
      const step = world.captureStep({ orderId: locked.orderId, terms: world.chain.terms() }, 5n, world.chain.payer)
      expect(await capture(step)).toMatchObject({ success: false, errorReason: 'evidence_invalid' })
    })

    it('a fee above the cap: seller_step_invalid', async () => {
      expect(await capture(stepOf(OPG + 1n))).toMatchObject({ errorReason: 'seller_step_invalid' })
    })

    it('a settlement that does not close, or of another order: seller_step_invalid', async () => {
      const step = stepOf(5n)
      const open = { ...step, settlement: { ...step.settlement, close: false } }
      expect(await capture(open)).toMatchObject({ errorReason: 'seller_step_invalid' })
      const orderId: Hex = `0x${'11'.repeat(32)}`
      const other = { ...step, settlement: { ...step.settlement, orderId } }
      expect(await capture(other)).toMatchObject({ errorReason: 'seller_step_invalid' })
    })

    it('of an order that was never locked here: order_unknown', async () => {
      const requirements = world.uptoRequirements()
      const paid = await world.pay(requirements)
      const step = world.captureStep({ orderId: world.uptoOrderId(paid), terms: world.chain.terms() }, 0n)
      expect(await running.client.settle(withStep(paid, step), requirements)).toMatchObject({
        errorReason: 'order_unknown',
      })
    })

    it('goes on though the node is no longer served', async () => {
      const narrow = await world.startService({ engine: running.engine, policy: { nodes: new Set() } })
      const answer = await narrow.client.settle(withStep(locked.paid, stepOf(7n)), locked.requirements)
      expect(answer).toMatchObject({ success: true })
      await narrow.close()
    })

    it('another capture after the first: capture_conflict', async () => {
      expect(await capture(stepOf(7n))).toMatchObject({ success: true })
      expect(await capture(stepOf(8n))).toMatchObject({ success: false, errorReason: 'capture_conflict' })
    })
  })

  describe('work-order', () => {
    it('locks a session’s order by its permit', async () => {
      const requirements = world.sessionRequirements()
      const opening = await world.chain.opening()
      const paid = await world.session(requirements, opening)
      expect(await running.client.verify(paid, requirements)).toMatchObject({ isValid: true })
      const answer = await running.client.settle(withStep(paid, world.lockStep(opening.orderId)), requirements)
      expect(answer).toMatchObject({ success: true, extra: { opg: { orderId: opening.orderId, state: 'locked' } } })
      expect(await world.chain.chainOrder(opening.orderId)).toBe('open')
    })

    it.each<
      [
        string,
        string,
        Parameters<ServiceWorld['chain']['opening']>[0],
        Parameters<ServiceWorld['sessionRequirements']>[0],
      ]
    >([
      ['other terms than are offered', 'offer_mismatch', { terms: { modelId: `0x${'55'.repeat(32)}` } }, {}],
      ['less money than is asked for', 'permit2_amount_mismatch', { amount: 5n }, { minAmount: 6n }],
      ['an end that is too near', 'claim_by_out_of_range', { claimIn: 50 }, {}],
    ])('%s: %s', async (_, reason, order, asked) => {
      const requirements = world.sessionRequirements(asked)
      const paid = await world.session(requirements, await world.chain.opening(order))
      expect(await running.client.verify(paid, requirements)).toMatchObject({ isValid: false, invalidReason: reason })
    })

    it('a permit that is altered, left out or late', async () => {
      const requirements = world.sessionRequirements()
      const paid = await world.session(requirements, await world.chain.opening())
      const permit = paid.payload['permit'] as { readonly deadline: string; readonly signature: string }
      const reasons = await Promise.all(
        [
          { ...permit, deadline: (BigInt(permit.deadline) + 1n).toString() },
          { ...permit, deadline: '5' },
          undefined,
        ].map(async (one) => {
          const { permit: _, ...rest } = paid.payload
          const payload = one === undefined ? rest : { ...rest, permit: one }
          return (await running.client.verify({ ...paid, payload }, requirements)).invalidReason
        }),
      )
      expect(reasons).toEqual(['invalid_permit2_signature', 'permit2_deadline_expired', 'invalid_payload'])
    })
  })
})
