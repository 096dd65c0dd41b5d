import { ChainUnavailableError } from '@opg/operator'
import { VerifyError, type PaymentRequirements } from '@x402/core/types'
import { x402Facilitator } from '@x402/core/facilitator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { uptoScheme, workOrderScheme } from '../../src/scheme.js'
import type { ChainReader } from '../../src/verify/chainReader.js'
import { ServiceWorld, withStep, type Paid, type RunningService } from '../support/serviceWorld.js'

describe('the facilitator’s HTTP server', () => {
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

  const post = async (
    path: string,
    body: string,
    type = 'application/json',
  ): Promise<{ status: number; body: unknown }> => {
    const response = await fetch(`${running.url}${path}`, { method: 'POST', headers: { 'content-type': type }, body })
    return { status: response.status, body: await response.json() }
  }

  it('says what it supports, and no address that a stock server would write over the desk', async () => {
    expect(await running.client.getSupported()).toEqual({
      kinds: [
        { x402Version: 2, scheme: 'upto', network: 'eip155:31337' },
        { x402Version: 2, scheme: 'work-order', network: 'eip155:31337' },
      ],
      extensions: ['eip2612GasSponsoring'],
      signers: { 'eip155:*': [world.facilitator] },
    })
  })

  it('registers with a stock facilitator', async () => {
    const facilitator = new x402Facilitator()
      .register('eip155:31337', uptoScheme(running.service))
      .register('eip155:31337', workOrderScheme(running.service))
    expect(await facilitator.verify(paid, requirements)).toMatchObject({ isValid: true })
    expect(facilitator.getSupported().kinds).toEqual([
      { x402Version: 2, scheme: 'upto', network: 'eip155:31337' },
      { x402Version: 2, scheme: 'work-order', network: 'eip155:31337' },
    ])
    expect(facilitator.getSupported().signers).toEqual({ 'eip155:*': [world.facilitator] })
    expect(await facilitator.settle(paid, requirements)).toMatchObject({ errorReason: 'seller_step_missing' })
  })

  it('tells its health, and what it did', async () => {
    await running.client.verify(paid, requirements)
    await running.client.verify(paid, { ...requirements, amount: '5' })
    const health = await fetch(`${running.url}/health`)
    expect(health.status).toBe(200)
    expect(await health.json()).toMatchObject({ status: 'ok', problems: [], engine: { queuedOpenings: 0 } })
    const metrics = await (await fetch(`${running.url}/metrics`)).text()
    expect(metrics).toContain('opg_facilitator_answers_total{operation="verify",outcome="valid"}')
    expect(metrics).toContain('opg_facilitator_answers_total{operation="verify",outcome="offer_mismatch"} 1')
    expect(metrics).toMatch(/opg_facilitator_gas_balance_wei [0-9.e+]+\n/)
    expect(metrics).toContain('opg_facilitator_up 1')
  })

  describe('a body that is no payment', () => {
    it.each<[string, string, number, string]>([
      ['no JSON', '{', 400, 'body'],
      ['nothing', '', 400, 'body'],
      ['no object', '[]', 400, 'paymentPayload'],
      ['no requirements', '{"paymentPayload":{}}', 400, 'paymentRequirements'],
      ['no accepted', '{"paymentPayload":{},"paymentRequirements":{}}', 400, 'paymentPayload.accepted'],
      [
        'a payload that is a list',
        '{"paymentPayload":{"accepted":{},"payload":[]},"paymentRequirements":{}}',
        400,
        'paymentPayload.payload',
      ],
      ['too much', `{"x":"${'x'.repeat(70_000)}"}`, 413, 'body'],
    ])('%s: an error that names the field', async (_, body, status, field) => {
      for (const path of ['/verify', '/settle']) {
        expect(await post(path, body)).toMatchObject({ status, body: { error: { field } } })
      }
    })

    it('of another type: 415; at another path: 404', async () => {
      expect(await post('/verify', '{}', 'text/plain')).toMatchObject({ status: 415 })
      expect(await post('/refund', '{}')).toMatchObject({ status: 404, body: { error: { code: 'NOT_FOUND' } } })
    })
  })

  describe('a payment that is malformed: an answer that names the field', () => {
    it.each<[string, string, (paid: Paid) => Paid]>([
      ['version', 'invalid_x402_version', (one) => ({ ...one, x402Version: 1 })],
      ['a scheme’s payload', 'invalid_payload', (one) => ({ ...one, payload: {} })],
      ['an amount in hexadecimal', 'invalid_payload', (one) => altered(one, { nonce: '0x5' })],
      ['an unknown member', 'invalid_payload', (one) => altered(one, { phase: 'capture' })],
      [
        'a key that poisons',
        'invalid_payload',
        (one) => altered(one, JSON.parse('{"constructor":{"prototype":{}}}') as object),
      ],
    ])('%s: %s', async (_, reason, change) => {
      const answer = await running.client.verify(change(paid), requirements)
      expect(answer).toMatchObject({ isValid: false, invalidReason: reason })
      expect(answer.invalidMessage).toBeTruthy()
    })

    const altered = (one: Paid, change: object): Paid => ({
      ...one,
      payload: {
        ...one.payload,
        permit2Authorization: { ...(one.payload['permit2Authorization'] as object), ...change },
      },
    })

    it.each<[string, string, Partial<PaymentRequirements>]>([
      ['scheme', 'unsupported_scheme', { scheme: 'exact' }],
      ['amount', 'invalid_payment_requirements', { amount: '1.5' }],
      ['extra', 'invalid_payment_requirements', { extra: {} }],
    ])('requirements with another %s: %s', async (_, reason, change) => {
      const asked = { ...requirements, ...change }
      expect(await running.client.verify({ ...paid, accepted: asked }, asked)).toMatchObject({
        isValid: false,
        invalidReason: reason,
      })
    })

    it('levels without end in requirements fill no stack', async () => {
      const deep = `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`
      const json = JSON.stringify({ paymentPayload: paid, paymentRequirements: { ...requirements, more: 'DEEP' } })
      const { status, body } = await post('/verify', json.replace('"DEEP"', deep))
      expect({ status, body }).toMatchObject({ status: 400, body: { error: { field: 'paymentRequirements' } } })
    })
  })

  describe('offers', () => {
    const reasonOf = async (asked: PaymentRequirements, on = running): Promise<string | undefined> =>
      (await on.client.verify(await world.pay(asked), asked)).invalidReason

    it('with a desk that is not theirs: offer_mismatch', async () => {
      // The payer signs the desk of a dear offer, and the seller shows a cheap one, or the other way round.
      const other = world.uptoRequirements({ claimWindow: 60 })
      const extra = { ...requirements.extra, facilitatorAddress: other.extra['facilitatorAddress'] }
      expect(await reasonOf({ ...requirements, extra })).toBe('upto_facilitator_mismatch')
      const both = { ...requirements, extra }
      expect((await running.client.verify({ ...paid, accepted: both }, both)).invalidReason).toBe('offer_mismatch')
    })

    it('of another adapter: offer_mismatch', async () => {
      const extra = { ...requirements.extra, adapter: world.facilitator }
      expect(await reasonOf({ ...requirements, extra })).toBe('offer_mismatch')
    })

    it.each<[string, Parameters<ServiceWorld['uptoRequirements']>[0]]>([
      ['no node', { terms: { node: '0x0000000000000000000000000000000000000000' } }],
      ['another facilitator', { terms: { facilitator: '0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65' } }],
      ['a share for nobody', { terms: { facilitatorBps: 1 } }],
    ])('with %s: offer_not_served', async (_, input) => {
      expect(await reasonOf(world.uptoRequirements(input))).toBe('offer_not_served')
    })

    it('with a share above the escrow’s cap, and at it', async () => {
      const facilitator = world.facilitator
      expect(await reasonOf(world.uptoRequirements({ terms: { facilitator, facilitatorBps: 2_001 } }))).toBe(
        'offer_not_served',
      )
      expect(await reasonOf(world.uptoRequirements({ terms: { facilitator, facilitatorBps: 2_000 } }))).toBeUndefined()
    })

    it('that end later than the escrow takes', async () => {
      expect(await reasonOf(world.uptoRequirements({ claimWindow: 90 * 86_400 }))).toBe('claim_by_out_of_range')
      expect(await reasonOf(world.uptoRequirements({ claimWindow: 90 * 86_400 - 400 }))).toBeUndefined()
    })

    it('that are not on the lists, or pay this facilitator too little', async () => {
      const policies = [
        { nodes: new Set([world.facilitator]) },
        { terms: new Set([`0x${'11'.repeat(32)}` as const]) },
        { minFacilitatorBps: 1 },
      ]
      for (const policy of policies) {
        const strict = await world.startService({ engine: running.engine, policy })
        expect(await reasonOf(requirements, strict)).toBe('offer_not_served')
        await strict.close()
      }
      const listed = { nodes: new Set([world.chain.terms().node]), minFacilitatorBps: 100 }
      const strict = await world.startService({ engine: running.engine, policy: listed })
      const paying = world.uptoRequirements({ terms: { facilitator: world.facilitator, facilitatorBps: 100 } })
      expect(await reasonOf(paying, strict)).toBeUndefined()
      await strict.close()
    })
  })

  describe('an RPC that fails (N6)', () => {
    const silent = (): Promise<never> => Promise.reject(new ChainUnavailableError('a read'))
    const READS = ['payer', 'simulateOpening'] as const satisfies readonly (keyof ChainReader)[]

    it.each(READS)('at %s: 503 and an error of the stock client, never a judgement', async (read) => {
      const deaf = await world.startService({ engine: running.engine, reader: { [read]: silent } })
      const failure = await deaf.client.verify(paid, requirements).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(VerifyError)
      expect(failure).toMatchObject({ statusCode: 503, invalidReason: 'unavailable' })
      const step = world.lockStep(world.uptoOrderId(paid))
      expect(await deaf.client.settle(withStep(paid, step), requirements)).toMatchObject({
        success: false,
        errorReason: 'unavailable',
      })
      expect(await world.chain.chainOrder(world.uptoOrderId(paid))).toBe('none')
      await deaf.close()
    })

    it('at health: 503', async () => {
      const deaf = await world.startService({ engine: running.engine, reader: { latestBlock: silent } })
      const health = await fetch(`${deaf.url}/health`)
      expect(health.status).toBe(503)
      expect(await health.json()).toMatchObject({ status: 'unhealthy', problems: ['The chain does not answer.'] })
      expect(await (await fetch(`${deaf.url}/metrics`)).text()).toContain('opg_facilitator_up 0')
      await deaf.close()
    })
  })
})
