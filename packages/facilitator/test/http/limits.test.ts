import type { SettleResponse } from '@x402/core/types'
import type { Wallet } from 'ethers'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../engine/support/world.js'
import { OPG, ServiceWorld, withStep, type RunningService } from '../support/serviceWorld.js'

describe('who may cost the facilitator gas', () => {
  let world: ServiceWorld
  let running: RunningService

  beforeAll(async () => {
    world = await ServiceWorld.start()
  })
  afterEach(() => running.close())
  afterAll(() => world.stop())

  /** Locks, and where that went well captures a fee and waits for the chain. */
  async function call(fee: bigint, wallet: Wallet = world.chain.payer): Promise<SettleResponse> {
    const requirements = world.uptoRequirements()
    const paid = await world.pay(requirements, { wallet })
    const orderId = world.uptoOrderId(paid)
    const locked = await running.client.settle(withStep(paid, world.lockStep(orderId)), requirements)
    if (!locked.success) return locked
    const step = world.captureStep({ orderId, terms: world.chain.terms() }, fee)
    await running.client.settle(withStep(paid, step), requirements)
    await eventually(async () => (await running.engine.order(orderId))?.state === 'closed')
    return locked
  }

  it('a stranger locks, releases and repeats: the quota of unpaid openings ends it, and others are served on', async () => {
    running = await world.startService({ limits: { maxUnpaidOfPayer: 2 } })
    for (const fee of [0n, 1n]) expect(await call(fee)).toMatchObject({ success: true })
    const before = await world.chain.sent()
    const refused = await call(0n)
    expect(refused).toMatchObject({
      success: false,
      errorReason: 'over_limit',
      payer: world.chain.payer.address,
      extra: { limit: { name: 'maxUnpaidOfPayer', limit: 2, found: 2 } },
    })
    const told = `2 orders of payer ${world.chain.payer.address} within an hour have paid no fee .*, and maxUnpaidOfPayer is 2`
    expect(refused.errorMessage).toMatch(new RegExp(`^${told}\\. Try again in 3[56]\\d\\d seconds\\.$`))
    expect(await world.chain.sent()).toBe(before)
    const honest = world.chain.devnet.wallets[5]
    await world.chain.fund(honest, 2n * OPG)
    expect(await call(OPG, honest)).toMatchObject({ success: true })
    const metrics = await (await fetch(`${running.url}/metrics`)).text()
    expect(metrics).toContain('opg_facilitator_limited_total{limit="maxUnpaidOfPayer"} 1')
    expect(metrics).toContain('opg_facilitator_answers_total{operation="settle",outcome="over_limit"} 1')
  })

  it('who pays call by call is not held up by it', async () => {
    running = await world.startService({ limits: { maxUnpaidOfPayer: 1 } })
    for (let i = 0; i < 4; i++) expect(await call(OPG / 1_000n)).toMatchObject({ success: true })
  })

  it('a node that opens more than it may is told so by its own name', async () => {
    running = await world.startService({ limits: { maxOpeningsOfNode: 1 } })
    await call(OPG)
    expect(await call(OPG)).toMatchObject({
      errorReason: 'over_limit',
      errorMessage: expect.stringContaining(
        `1 orders of node ${world.chain.node.address} were opened within an hour`,
      ) as string,
      extra: { limit: { name: 'maxOpeningsOfNode' } },
    })
  })

  it('the same attempt may ask again, and needs no room for that', async () => {
    running = await world.startService({ limits: { maxOpeningsOfPayer: 1 } })
    const requirements = world.uptoRequirements()
    const paid = await world.pay(requirements)
    const step = withStep(paid, world.lockStep(world.uptoOrderId(paid)))
    for (let i = 0; i < 2; i++) {
      expect(await running.client.settle(step, requirements)).toMatchObject({ success: true })
    }
  })

  describe('the least amount', () => {
    const least = OPG / 2n

    it.each([
      ['one base unit below', least - 1n, false],
      ['exactly', least, true],
    ])('%s', async (_, amount, isTaken) => {
      running = await world.startService({ policy: { minAmount: least } })
      const requirements = world.uptoRequirements({ amount })
      const paid = await world.pay(requirements)
      const reason = isTaken ? undefined : 'amount_too_small'
      expect((await running.client.verify(paid, requirements)).invalidReason).toBe(reason)
      const step = world.lockStep(world.uptoOrderId(paid))
      const answer = await running.client.settle(withStep(paid, step), requirements)
      expect(answer.errorReason).toBe(reason)
      if (!isTaken) expect(answer.errorMessage).toContain('none below 0.5.')
    })

    it('raised after a lock: the capture is taken all the same', async () => {
      running = await world.startService()
      const requirements = world.uptoRequirements({ amount: 5n })
      const paid = await world.pay(requirements)
      const orderId = world.uptoOrderId(paid)
      await running.client.settle(withStep(paid, world.lockStep(orderId)), requirements)
      const strict = await world.startService({ engine: running.engine, policy: { minAmount: least } })
      const step = world.captureStep({ orderId, terms: world.chain.terms() }, 5n)
      expect(await strict.client.settle(withStep(paid, step), requirements)).toMatchObject({ success: true })
      await strict.close()
    })
  })
})
