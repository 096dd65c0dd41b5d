import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EngineWorld, OPG, type RunningEngine, attempt, eventually, lock } from './support/world.js'

describe('lock', () => {
  let world: EngineWorld
  let running: RunningEngine

  beforeAll(async () => {
    world = await EngineWorld.start()
  })
  afterAll(() => world.stop())
  beforeEach(async () => {
    running = await world.startEngine()
  })
  afterEach(() => running.close())

  it('opens an order, and says by which transaction and in which block', async () => {
    const opening = await world.opening()
    const outcome = await lock(running.engine, opening)
    expect(outcome).toMatchObject({ status: 'locked' })
    expect(await world.chainOrder(opening.orderId)).toBe('open')
    const hash = outcome.status === 'locked' ? outcome.transaction : undefined
    const receipt = await world.devnet.provider.getTransactionReceipt(hash ?? '')
    expect(outcome).toMatchObject({ blockNumber: receipt?.blockNumber })
    expect(await running.engine.order(opening.orderId)).toMatchObject({ state: 'open', terms: opening.terms })
  })

  it('captures it', async () => {
    const opening = await world.opening()
    await lock(running.engine, opening)
    const capture = world.capture(opening, OPG / 4n)
    expect(await running.engine.capture(capture)).toEqual({ status: 'queued' })
    await eventually(async () => (await running.engine.order(opening.orderId))?.state === 'closed')
    expect(await world.settledFees(opening.orderId)).toEqual([OPG / 4n])
    expect(await running.engine.capture(capture)).toMatchObject({ status: 'done' })
    expect(attempt()).not.toBe(attempt())
  })
})
