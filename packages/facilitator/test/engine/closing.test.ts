import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Opening } from '../../src/engine/types.js'
import { EngineWorld, OPG, type RunningEngine, eventually, lock, sleep } from './support/world.js'

describe('closing', () => {
  let world: EngineWorld
  let running: RunningEngine
  let snapshot: string

  beforeAll(async () => {
    world = await EngineWorld.start()
  })
  afterAll(() => world.stop())
  beforeEach(async () => {
    snapshot = await world.devnet.snapshot()
    running = await world.startEngine()
  })
  afterEach(async () => {
    await running.close()
    await world.devnet.setAutomine(true)
    await world.devnet.revert(snapshot)
  })

  async function again(policy: NonNullable<Parameters<EngineWorld['startEngine']>[0]>['policy'] = {}): Promise<void> {
    await running.close()
    running = await world.startEngine({ policy })
  }

  async function locked(count: number, input: Parameters<EngineWorld['opening']>[0] = {}): Promise<readonly Opening[]> {
    const openings = await world.openings(count, input)
    await Promise.all(openings.map((opening) => lock(running.engine, opening)))
    return openings
  }

  function isIn(state: string, { orderId }: Opening): Promise<void> {
    return eventually(async () => (await running.engine.order(orderId))?.state === state)
  }

  it('captures orders of several nodes in one transaction, each by its own evidence', async () => {
    await again({ captureIntervalMs: 500 })
    const other = world.devnet.wallets[6]
    const [first] = await locked(1)
    const [second] = await locked(1, { terms: { node: other.address as `0x${string}` } })
    if (first === undefined || second === undefined) throw new TypeError('not locked')
    const before = await world.sent()
    await running.engine.capture(world.capture(first, OPG / 4n))
    const capture = world.capture(second, OPG, other)
    await running.engine.capture(capture)
    await isIn('closed', first)
    await isIn('closed', second)
    expect((await world.sent()) - before).toBe(1)
    expect(await world.settledFees(first.orderId)).toEqual([OPG / 4n])
    expect(await world.settledFees(second.orderId)).toEqual([OPG])
    expect(await running.engine.order(first.orderId)).toMatchObject({ captured: OPG / 4n })
    const done = await running.engine.capture(capture)
    expect(done).toMatchObject({ status: 'done' })
    const hash = done.status === 'done' ? done.transaction : undefined
    expect((await world.devnet.provider.getTransactionReceipt(hash ?? ''))?.status).toBe(1)
  })

  it('gives all back for a fee of zero', async () => {
    const before = await world.balance(world.payer.address)
    const [opening] = await locked(1)
    if (opening === undefined) throw new TypeError('not locked')
    await running.engine.capture(world.capture(opening, 0n))
    await isIn('closed', opening)
    expect(await world.balance(world.payer.address)).toBe(before)
    expect(await running.engine.order(opening.orderId)).toMatchObject({ captured: 0n })
  })

  it('bad evidence has failed, is said, and blocks nobody; good evidence may follow', async () => {
    await again({ captureIntervalMs: 300 })
    const openings = await locked(3)
    const [bad, ...good] = openings
    if (bad === undefined) throw new TypeError('not locked')
    await running.engine.capture(world.capture(bad, OPG, world.payer))
    for (const opening of good) await running.engine.capture(world.capture(opening, 7n))
    for (const opening of good) await isIn('closed', opening)
    expect(await running.engine.order(bad.orderId)).toMatchObject({ state: 'open', captureFailure: 'EvidenceRefused' })
    expect(await running.engine.status()).toMatchObject({ failedCaptures: 1, queuedCaptures: 0 })
    expect(await running.engine.capture(world.capture(bad, 9n))).toEqual({ status: 'queued' })
    await isIn('closed', bad)
    expect(await world.settledFees(bad.orderId)).toEqual([9n])
  })

  it('more than the order holds: it has failed, and is reclaimed in the end', async () => {
    const [opening] = await locked(1, { claimIn: 3_600 })
    if (opening === undefined) throw new TypeError('not locked')
    await running.engine.capture(world.capture(opening, OPG + 1n))
    await eventually(async () => (await running.engine.order(opening.orderId))?.captureFailure === 'RowSkipped')
    await world.devnet.increaseTime(3_700)
    await isIn('closed', opening)
    expect(await world.settledFees(opening.orderId)).toEqual([])
  })

  it('capture before open: it waits for its opening', async () => {
    await world.devnet.setAutomine(false)
    const opening = await world.opening()
    expect(await lock(running.engine, opening, 200)).toEqual({ status: 'pending' })
    expect(await running.engine.capture(world.capture(opening, 5n))).toEqual({ status: 'queued' })
    await sleep(200)
    expect(await running.engine.status()).toMatchObject({ pendingTransactions: 1, queuedCaptures: 1 })
    await world.devnet.setAutomine(true)
    await world.devnet.mine()
    await isIn('closed', opening)
    expect(await world.settledFees(opening.orderId)).toEqual([5n])
  })

  it('release before anything was sent: the opening never goes out', async () => {
    await running.engine.stop()
    const opening = await world.opening()
    const before = await world.sent()
    expect(await lock(running.engine, opening, 0)).toEqual({ status: 'pending' })
    expect(await running.engine.capture(world.capture(opening, 0n))).toEqual({ status: 'done', transaction: undefined })
    running.engine.start()
    const other = await world.opening()
    await lock(running.engine, other)
    expect(await world.chainOrder(opening.orderId)).toBe('none')
    expect((await world.sent()) - before).toBe(1)
    expect(await running.engine.order(opening.orderId)).toMatchObject({ state: 'refused' })
  })

  it('a capture that is urgent does not wait for others', async () => {
    await again({ captureIntervalMs: 3_600_000, urgentSeconds: 600 })
    const [calm] = await locked(1)
    const [urgent] = await locked(1, { claimIn: 500 })
    if (calm === undefined || urgent === undefined) throw new TypeError('not locked')
    await running.engine.capture(world.capture(calm, 1n))
    await sleep(200)
    expect(await running.engine.order(calm.orderId)).toMatchObject({ state: 'capturing' })
    await running.engine.capture(world.capture(urgent, 2n))
    await isIn('closed', urgent)
  })

  it('somebody else settled with the same evidence: it is done, and the others are captured', async () => {
    await world.devnet.setAutomine(false)
    await world.devnet.setAutomine(true)
    const [first, second] = await locked(2)
    if (first === undefined || second === undefined) throw new TypeError('not locked')
    await running.engine.stop()
    const { settlement, evidence } = world.capture(first, 11n)
    const { orderId: _, ...row } = settlement
    const { escrow } = world.devnet.contracts
    await (await escrow.connect(world.node).settle(first.terms, [{ order: first.order, ...row }], evidence)).wait()
    await running.engine.capture(world.capture(first, 11n))
    await running.engine.capture(world.capture(second, 12n))
    running.engine.start()
    await isIn('closed', first)
    await isIn('closed', second)
    expect(await running.engine.order(first.orderId)).toMatchObject({ captured: 11n })
    expect(await running.engine.capture(world.capture(first, 11n))).toMatchObject({ status: 'done' })
    expect(await world.timesClosed(first.orderId)).toBe(1)
  })

  it('payers empty their wallets just before: the transaction has gas for what that costs', async () => {
    await again({ captureIntervalMs: 300 })
    const thieves = world.devnet.wallets.slice(4, 8)
    const openings: Opening[] = []
    for (const payer of thieves) {
      await world.fund(payer, 2n * OPG)
      openings.push(await world.opening({ payer }))
    }
    await Promise.all(openings.map((opening) => lock(running.engine, opening)))
    await world.devnet.setAutomine(false)
    for (const opening of openings) await running.engine.capture(world.capture(opening, 3n))
    await eventually(async () => (await running.engine.status()).pendingTransactions === 1)
    const fees = { maxFeePerGas: 900n * 10n ** 9n, maxPriorityFeePerGas: 90n * 10n ** 9n, gasLimit: 100_000n }
    for (const payer of thieves) {
      const token = world.devnet.contracts.token.connect(payer)
      await token.transfer(world.payer.address, await token.balanceOf(payer.address), fees)
    }
    await world.devnet.mine()
    for (const { orderId } of openings) expect(await world.settledFees(orderId)).toEqual([3n])
    await world.devnet.setAutomine(true)
  })

  describe('after claimBy', () => {
    it('orders that nobody captured are reclaimed in one transaction, and captured ones are left alone', async () => {
      const before = await world.balance(world.payer.address)
      const openings = await locked(4, { claimIn: 1_000 })
      const [captured, ...left] = openings
      if (captured === undefined) throw new TypeError('not locked')
      await running.engine.capture(world.capture(captured, 10n))
      await isIn('closed', captured)
      const sent = await world.sent()
      await world.devnet.increaseTime(1_100)
      for (const opening of left) await isIn('closed', opening)
      expect((await world.sent()) - sent).toBe(1)
      for (const { orderId } of openings) expect(await world.timesClosed(orderId)).toBe(1)
      expect(await world.balance(world.payer.address)).toBe(before - 10n)
      expect(await running.engine.order(left[0]?.orderId ?? '0x')).toMatchObject({ captured: 0n })
    })

    it('a stranger reclaims one first, to make all fail: the others share the next transaction', async () => {
      const openings = await locked(4, { claimIn: 1_000 })
      const [stolen, ...others] = openings
      if (stolen === undefined) throw new TypeError('not locked')
      const sent = await world.sent()
      await world.devnet.setAutomine(false)
      await world.devnet.increaseTime(1_100)
      await world.devnet.mine()
      await eventually(async () => (await running.engine.status()).pendingTransactions === 1)
      await sleep(200)
      const fees = { maxFeePerGas: 900n * 10n ** 9n, maxPriorityFeePerGas: 90n * 10n ** 9n, gasLimit: 200_000n }
      const escrow = world.devnet.contracts.escrow.connect(world.devnet.wallets[8])
      await escrow.reclaim(stolen.terms, stolen.order, fees)
      await world.devnet.mine()
      expect(await world.chainOrder(others[0]?.orderId ?? '0x')).toBe('open')
      await world.devnet.setAutomine(true)
      for (const opening of openings) await isIn('closed', opening)
      expect((await world.sent()) - sent).toBe(2)
    })

    it('a stranger reclaims one first: those in other transactions are reclaimed in that block', async () => {
      await again({ maxClosings: 8 })
      const openings = await locked(4, { claimIn: 1_000 })
      const [stolen] = openings
      if (stolen === undefined) throw new TypeError('not locked')
      await world.devnet.setAutomine(false)
      await world.devnet.increaseTime(1_100)
      await world.devnet.mine()
      await eventually(async () => (await running.engine.status()).pendingTransactions === 2)
      const fees = { maxFeePerGas: 900n * 10n ** 9n, maxPriorityFeePerGas: 90n * 10n ** 9n, gasLimit: 200_000n }
      const escrow = world.devnet.contracts.escrow.connect(world.devnet.wallets[8])
      await escrow.reclaim(stolen.terms, stolen.order, fees)
      await world.devnet.mine()
      const states = await Promise.all(openings.map(({ orderId }) => world.chainOrder(orderId)))
      expect(states.filter((state) => state === 'closed')).toHaveLength(3)
    })

    it('a stranger lets many orders end at once: new ones are opened in the next block all the same', async () => {
      await again({ maxClosings: 4, maxPending: 4 })
      await locked(24, { claimIn: 1_000 })
      await world.devnet.setAutomine(false)
      await world.devnet.increaseTime(1_100)
      await world.devnet.mine()
      await eventually(async () => (await running.engine.status()).pendingTransactions >= 2)
      await sleep(300)
      const late = await world.opening()
      const waiting = lock(running.engine, late)
      await sleep(300)
      await world.devnet.mine()
      expect(await world.chainOrder(late.orderId)).toBe('open')
      await world.devnet.setAutomine(true)
      expect(await waiting).toMatchObject({ status: 'locked' })
    })

    it('a capture that comes too late does not keep the money from its payer', async () => {
      const [opening] = await locked(1, { claimIn: 1_000 })
      if (opening === undefined) throw new TypeError('not locked')
      await running.engine.stop()
      await world.devnet.increaseTime(1_100)
      await running.engine.capture(world.capture(opening, 10n))
      running.engine.start()
      await isIn('closed', opening)
      expect(await world.settledFees(opening.orderId)).toEqual([])
      expect(await running.engine.capture(world.capture(opening, 10n))).toEqual({ status: 'conflict' })
    })

    it('a stranger opened what was refused: it is reclaimed too', async () => {
      const poor = world.devnet.wallets[7]
      await world.fund(poor, OPG - 1n)
      const opening = await world.opening({ payer: poor, claimIn: 1_000 })
      expect(await lock(running.engine, opening)).toMatchObject({ status: 'refused' })
      await world.fund(poor, 1n)
      await world.relay(opening)
      await world.devnet.increaseTime(1_100)
      await isIn('closed', opening)
      expect(await world.balance(poor.address)).toBe(OPG)
    })

    it('an order that somebody reclaimed already is not sent again', async () => {
      const [opening] = await locked(1, { claimIn: 1_000 })
      if (opening === undefined) throw new TypeError('not locked')
      await running.engine.stop()
      await world.devnet.increaseTime(1_100)
      await (await world.devnet.contracts.escrow.reclaim(opening.terms, opening.order)).wait()
      const sent = await world.sent()
      running.engine.start()
      await isIn('closed', opening)
      expect(await world.sent()).toBe(sent)
    })
  })
})
