import type { PaymentRequirements } from '@x402/core/types'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServiceWorld, withStep, type Paid, type RunningService } from '../support/serviceWorld.js'

type Authorization = Record<string, unknown> & {
  readonly permitted: Record<string, unknown>
  readonly witness: Record<string, unknown>
}
const STRANGER = '0x90F79bf6EB2c4f870365E785982E1f101E93b906'

/** What the stock `upto` facilitator refuses, asked of ours over HTTP by the stock client. */
describe('the stock facilitator’s negative cases for upto', () => {
  let world: ServiceWorld
  let running: RunningService
  let requirements: PaymentRequirements
  let paid: Paid

  beforeAll(async () => {
    world = await ServiceWorld.start()
    running = await world.startService()
    requirements = world.uptoRequirements()
    paid = await world.pay(requirements)
  })
  afterAll(async () => {
    await running.close()
    await world.stop()
  })

  const altered = (change: (authorization: Authorization) => Record<string, unknown>): Paid => {
    const authorization = paid.payload['permit2Authorization'] as Authorization
    return {
      ...paid,
      payload: { ...paid.payload, permit2Authorization: { ...authorization, ...change(authorization) } },
    }
  }
  const refused = async (payment: Paid, asked: PaymentRequirements, reason: string): Promise<void> => {
    expect(await running.client.verify(payment, asked)).toMatchObject({ isValid: false, invalidReason: reason })
    // What does not verify is not locked either, though the node itself asks for it.
    const locked = await running.client.settle(withStep(payment, world.lockStep(world.uptoOrderId(payment))), asked)
    expect(locked).toMatchObject({ success: false, errorReason: reason, transaction: '' })
  }

  it('takes the payment as the client made it', async () => {
    expect(await running.client.verify(paid, requirements)).toMatchObject({
      isValid: true,
      payer: world.chain.payer.address,
    })
  })

  it.each<[string, string, (authorization: Authorization) => Record<string, unknown>]>([
    ['spender', 'invalid_permit2_spender', () => ({ spender: STRANGER })],
    ['recipient', 'invalid_permit2_recipient_mismatch', ({ witness }) => ({ witness: { ...witness, to: STRANGER } })],
    ['facilitator', 'upto_facilitator_mismatch', ({ witness }) => ({ witness: { ...witness, facilitator: STRANGER } })],
    ['deadline', 'permit2_deadline_expired', () => ({ deadline: String(Math.floor(Date.now() / 1000) + 1) })],
    [
      'validAfter',
      'permit2_not_yet_valid',
      ({ witness }) => ({ witness: { ...witness, validAfter: String(Math.floor(Date.now() / 1000) + 60) } }),
    ],
    ['amount', 'permit2_amount_mismatch', ({ permitted }) => ({ permitted: { ...permitted, amount: '1' } })],
    ['token', 'permit2_token_mismatch', ({ permitted }) => ({ permitted: { ...permitted, token: STRANGER } })],
    ['payer', 'invalid_permit2_signature', () => ({ from: STRANGER })],
    ['nonce', 'invalid_permit2_signature', () => ({ nonce: '1' })],
  ])('another %s: %s', async (_, reason, change) => {
    await refused(altered(change), requirements, reason)
  })

  it('another signature: invalid_permit2_signature', async () => {
    const other = await world.pay(world.uptoRequirements())
    const payload = { ...paid.payload, signature: other.payload['signature'] }
    await refused({ ...paid, payload }, requirements, 'invalid_permit2_signature')
  })

  it.each<[string, string, Partial<PaymentRequirements>]>([
    ['scheme', 'invalid_upto_evm_scheme', { scheme: 'exact' }],
    ['network', 'invalid_upto_evm_network_mismatch', { network: 'eip155:1' }],
  ])('the client accepted another %s: %s', async (_, reason, change) => {
    await refused({ ...paid, accepted: { ...requirements, ...change } }, requirements, reason)
  })

  it.each<[string, string, Partial<PaymentRequirements>]>([
    ['amount', 'permit2_amount_mismatch', { amount: '5' }],
    ['recipient', 'invalid_permit2_recipient_mismatch', { payTo: STRANGER }],
    ['token', 'permit2_token_mismatch', { asset: STRANGER }],
    ['network', 'invalid_upto_evm_network_mismatch', { network: 'eip155:1' }],
  ])('both sides agree on another %s than was signed: %s', async (_, reason, change) => {
    const asked = { ...requirements, ...change }
    await refused({ ...paid, accepted: asked }, asked, reason)
  })
})
