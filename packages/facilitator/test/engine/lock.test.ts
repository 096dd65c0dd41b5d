import { PERMIT2 } from '@opg/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EngineWorld, OPG, type RunningEngine, attempt, eventually, lock, sleep } from './support/world.js'

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
  afterEach(async () => {
    await world.devnet.setAutomine(true)
    await running.close()
  })

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

  it('opens orders that come together in one transaction', async () => {
    const openings = await world.openings(12)
    const before = await world.sent()
    const outcomes = await Promise.all(openings.map((opening) => lock(running.engine, opening)))
    expect(new Set(outcomes.map((outcome) => outcome.status === 'locked' && outcome.transaction)).size).toBe(1)
    expect((await world.sent()) - before).toBe(1)
    for (const { orderId } of openings) expect(await world.timesOpened(orderId)).toBe(1)
  })

  it('opens orders of two kinds of terms in a transaction each', async () => {
    const facilitator = world.sender.address as `0x${string}`
    const openings = [
      ...(await world.openings(3)),
      ...(await world.openings(3, { terms: { facilitator, facilitatorBps: 100 } })),
    ]
    const before = await world.sent()
    const outcomes = await Promise.all(openings.map((opening) => lock(running.engine, opening)))
    expect(outcomes.every(({ status }) => status === 'locked')).toBe(true)
    expect((await world.sent()) - before).toBe(2)
  })

  it('divides a batch that is over the limit of gas', async () => {
    await running.close()
    running = await world.startEngine({ policy: { maxGasPerTransaction: 900_000n } })
    const openings = await world.openings(16)
    const before = await world.sent()
    const outcomes = await Promise.all(openings.map((opening) => lock(running.engine, opening)))
    expect(outcomes.every(({ status }) => status === 'locked')).toBe(true)
    expect((await world.sent()) - before).toBe(2)
  })

  it('gives the same attempt the same outcome again and again, and opens once', async () => {
    const opening = await world.opening()
    const input = { opening, attempt: attempt(), timeoutMs: 60_000 }
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => running.engine.lock(input)))
    outcomes.push(await running.engine.lock(input))
    expect(outcomes[0]).toMatchObject({ status: 'locked' })
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0])
    expect(await world.timesOpened(opening.orderId)).toBe(1)
  })

  it('replay for a second answer: another attempt is told that the order is used', async () => {
    const opening = await world.opening()
    const first = lock(running.engine, opening)
    expect(await lock(running.engine, opening)).toEqual({ status: 'used' })
    expect(await first).toMatchObject({ status: 'locked' })
    expect(await lock(running.engine, opening)).toEqual({ status: 'used' })
  })

  it('replay after the capture: the same attempt is told that the order is used', async () => {
    const opening = await world.opening()
    const input = { opening, attempt: attempt(), timeoutMs: 60_000 }
    await running.engine.lock(input)
    await running.engine.capture(world.capture(opening, 1n))
    expect(await running.engine.lock(input)).toEqual({ status: 'used' })
    await eventually(async () => (await running.engine.order(opening.orderId))?.state === 'closed')
    expect(await running.engine.lock(input)).toEqual({ status: 'used' })
  })

  it('sends an approval along, which somebody else may have sent before', async () => {
    const [, , , , , , newcomer, other] = world.devnet.wallets
    for (const wallet of [newcomer, other]) await world.devnet.mint(wallet.address, OPG)
    const openings = [await world.approvedOpening(newcomer), await world.approvedOpening(other)] as const
    const [, { order, approval }] = openings
    if (approval === undefined) throw new TypeError('no approval')
    const { r, s, v } = split(approval.signature)
    const { token } = world.devnet.contracts
    await (await token.permit(order.payer, PERMIT2, approval.value, approval.deadline, v, r, s)).wait()
    const before = await world.sent()
    const outcomes = await Promise.all(openings.map((opening) => lock(running.engine, opening)))
    expect(outcomes).toMatchObject([{ status: 'locked' }, { status: 'locked' }])
    expect((await world.sent()) - before).toBe(1)
  })

  describe('stock upto payments', () => {
    const terms = (n: number): { readonly modelId: `0x${string}` } => ({
      modelId: `0x${n.toString(16).padStart(64, '0')}`,
    })

    it('are opened through their desk, by themselves and in a batch, and captured', async () => {
      // The first of an offer deploys its desk.
      const alone = await world.uptoOpening({ terms: terms(1) })
      expect(await lock(running.engine, alone)).toMatchObject({ status: 'locked' })
      const openings = await Promise.all(Array.from({ length: 5 }, () => world.uptoOpening({ terms: terms(2) })))
      const before = await world.sent()
      const outcomes = await Promise.all(openings.map((opening) => lock(running.engine, opening)))
      for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'locked' })
      expect((await world.sent()) - before).toBe(1)
      for (const opening of [alone, ...openings]) {
        expect(await world.timesOpened(opening.orderId)).toBe(1)
        await running.engine.capture(world.capture(opening, 5n))
      }
      for (const { orderId } of [alone, ...openings]) {
        await eventually(async () => (await running.engine.order(orderId))?.state === 'closed')
        expect(await world.settledFees(orderId)).toEqual([5n])
      }
    })

    it('do not share a transaction with work orders, nor fail with each other', async () => {
      const early = await world.uptoOpening({ validAfter: 2n ** 40n })
      const late = await world.uptoOpening({ nonce: early.order.nonce + 2n ** 30n })
      const openings = [early, late, await world.opening()] as const
      const before = await world.sent()
      const outcomes = await Promise.all(openings.map((opening) => lock(running.engine, opening)))
      expect(outcomes).toMatchObject([
        { status: 'refused', reason: 'PaymentTooEarly' },
        { status: 'locked' },
        { status: 'locked' },
      ])
      expect((await world.sent()) - before).toBe(2)
    })

    it('another offer than was signed: refused', async () => {
      const { terms: signed, ...opening } = await world.uptoOpening()
      const cheated = { ...opening, terms: { ...signed, node: world.devnet.wallets[8].address as `0x${string}` } }
      expect(await lock(running.engine, cheated)).toMatchObject({ status: 'refused' })
    })
  })

  describe('attacks', () => {
    it('payer empties the wallet between check and opening', async () => {
      const thief = world.devnet.wallets[4]
      await world.fund(thief, OPG)
      const opening = await world.opening({ payer: thief })
      await (await world.devnet.contracts.token.connect(thief).transfer(world.payer.address, OPG)).wait()
      const neighbours = await world.openings(3)
      const before = await world.sent()
      const [outcome, ...others] = await Promise.all([opening, ...neighbours].map((one) => lock(running.engine, one)))
      expect(outcome).toEqual({ status: 'refused', reason: 'TRANSFER_FROM_FAILED' })
      expect(others.every(({ status }) => status === 'locked')).toBe(true)
      expect((await world.sent()) - before).toBe(1)
    })

    it('payer revokes the approval between check and opening', async () => {
      const thief = world.devnet.wallets[4]
      await world.fund(thief, OPG)
      const opening = await world.opening({ payer: thief })
      await (await world.devnet.contracts.token.connect(thief).approve(PERMIT2, 0)).wait()
      const before = await world.sent()
      expect(await lock(running.engine, opening)).toEqual({ status: 'refused', reason: 'TRANSFER_FROM_FAILED' })
      expect(await world.sent()).toBe(before)
      await world.fund(thief, 0n)
    })

    it('payer burns the nonce between check and opening', async () => {
      const opening = await world.opening({ nonce: 2n ** 40n })
      const permit2 = world.devnet.contracts.permit2.connect(world.payer)
      const burn = permit2.getFunction('invalidateUnorderedNonces')
      await (await burn.send(2n ** 32n, 1n)).wait()
      expect(await lock(running.engine, opening)).toEqual({ status: 'refused', reason: 'InvalidNonce' })
    })

    it('payer empties the wallet after the simulation: it costs the others nothing', async () => {
      const thief = world.devnet.wallets[4]
      await world.fund(thief, OPG)
      const balance = await world.balance(thief.address)
      const openings = [await world.opening({ payer: thief, amount: OPG }), ...(await world.openings(3))] as const
      await world.devnet.setAutomine(false)
      const outcomes = Promise.all(openings.map((opening) => lock(running.engine, opening)))
      await eventually(async () => (await running.engine.status()).pendingTransactions === 1)
      // In the same block, ahead of the batch.
      const { token } = world.devnet.contracts
      const gwei = 10n ** 9n
      const fees = { maxFeePerGas: 900n * gwei, maxPriorityFeePerGas: 100n * gwei }
      await token.connect(thief).transfer(world.payer.address, balance, { ...fees, gasLimit: 100_000n })
      await world.devnet.mine()
      await world.devnet.setAutomine(true)
      const [outcome, ...others] = await outcomes
      expect(outcome).toEqual({ status: 'refused', reason: 'TRANSFER_FROM_FAILED' })
      expect(others.every(({ status }) => status === 'locked')).toBe(true)
    })

    it('two permits over one balance, in one batch: one opens, and one does not', async () => {
      const thief = world.devnet.wallets[5]
      await world.fund(thief, OPG)
      const openings = await world.openings(2, { payer: thief, amount: OPG })
      const outcomes = await Promise.all([...openings, await world.opening()].map((one) => lock(running.engine, one)))
      expect(outcomes[2]).toMatchObject({ status: 'locked' })
      const statuses = outcomes.slice(0, 2).map(({ status }) => status)
      expect(statuses.sort()).toEqual(['locked', 'refused'])
      expect(await world.balance(thief.address)).toBe(0n)
    })

    it('terms that the escrow refuses: only their own orders are refused', async () => {
      const bad = await world.openings(2, { terms: { verifier: world.payer.address as `0x${string}` } })
      const good = await world.openings(2)
      const outcomes = await Promise.all([...bad, ...good].map((opening) => lock(running.engine, opening)))
      expect(outcomes).toMatchObject([
        { status: 'refused', reason: 'VerifierWithoutCode' },
        { status: 'refused', reason: 'VerifierWithoutCode' },
        { status: 'locked' },
        { status: 'locked' },
      ])
    })

    it('somebody else relays the opening: it is locked for the attempt that asked', async () => {
      const [first, second] = [await world.opening(), await world.opening()]
      await world.relay(first)
      await world.devnet.mine(3)
      const before = await world.sent()
      const outcome = await lock(running.engine, first)
      expect(outcome).toMatchObject({ status: 'locked' })
      expect(await world.sent()).toBe(before)
      const [event] = await world.devnet.contracts.escrow.queryFilter(
        world.devnet.contracts.escrow.filters.OrderOpened(first.orderId),
      )
      expect(outcome).toMatchObject({ transaction: event?.transactionHash })

      // Ahead of ours, in the same block.
      await world.devnet.setAutomine(false)
      const racing = lock(running.engine, second)
      await eventually(async () => (await running.engine.status()).pendingTransactions === 1)
      const gwei = 10n ** 9n
      const fees = { maxFeePerGas: 900n * gwei, maxPriorityFeePerGas: 100n * gwei, gasLimit: 500_000n }
      const { escrow } = world.devnet.contracts
      const { deadline, signature } = second.funding
      await escrow
        .connect(world.devnet.wallets[9])
        .open(second.terms, { order: second.order, deadline, signature }, fees)
      await world.devnet.mine()
      await world.devnet.setAutomine(true)
      expect(await racing).toMatchObject({ status: 'locked' })
      expect(await world.timesOpened(second.orderId)).toBe(1)
    })

    it('an order that was closed before: nothing is served for it', async () => {
      const opening = await world.opening({ claimIn: 100 })
      await world.relay(opening)
      const { escrow } = world.devnet.contracts
      await (await escrow.connect(world.node).release(opening.terms, opening.order)).wait()
      expect(await lock(running.engine, opening)).toEqual({ status: 'used' })
    })

    it('one payer with many orders under way is limited, and others are not', async () => {
      await running.close()
      running = await world.startEngine({ policy: { maxUnopenedOfPayer: 3 } })
      const thief = world.devnet.wallets[5]
      await world.fund(thief, 10n * OPG)
      await world.devnet.setAutomine(false)
      const many = (await world.openings(5, { payer: thief })).map((opening) => lock(running.engine, opening))
      const other = lock(running.engine, await world.opening())
      await eventually(async () => (await running.engine.status()).pendingTransactions > 0)
      await world.devnet.setAutomine(true)
      await world.devnet.mine()
      const outcomes = await Promise.all(many)
      expect(outcomes.filter(({ status }) => status === 'limited')).toHaveLength(2)
      expect(outcomes).toContainEqual({ status: 'limited', limit: { name: 'maxUnopenedOfPayer', limit: 3, found: 3 } })
      expect(outcomes.filter(({ status }) => status === 'locked')).toHaveLength(3)
      expect(await other).toMatchObject({ status: 'locked' })
    })
  })

  it('locks nothing new without gas money', async () => {
    await running.close()
    running = await world.startEngine({ policy: { minBalance: 10n ** 30n } })
    const { balance } = await running.engine.status()
    expect(balance).toBeLessThan(10n ** 30n)
    expect(await lock(running.engine, await world.opening())).toEqual({
      status: 'limited',
      limit: { name: 'minBalance' },
    })
  })

  it('is pending when the time is over, may land later, and is then released with nothing paid', async () => {
    const opening = await world.opening()
    await world.devnet.setAutomine(false)
    const before = await world.balance(world.payer.address)
    expect(await lock(running.engine, opening, 300)).toEqual({ status: 'pending' })
    await eventually(async () => (await running.engine.order(opening.orderId))?.state === 'opening')
    expect(await running.engine.capture(world.capture(opening, 0n))).toEqual({ status: 'queued' })
    await world.devnet.setAutomine(true)
    await world.devnet.mine()
    await eventually(async () => (await running.engine.order(opening.orderId))?.state === 'closed')
    expect(await world.balance(world.payer.address)).toBe(before)
    expect(await world.settledFees(opening.orderId)).toEqual([0n])
  })

  it('is locked only with the confirmations that were asked for', async () => {
    await running.close()
    running = await world.startEngine({ policy: { confirmations: 3 } })
    const opening = await world.opening()
    let isOver = false
    const locked = lock(running.engine, opening).finally(() => (isOver = true))
    await eventually(async () => (await world.chainOrder(opening.orderId)) === 'open')
    await world.devnet.mine(1)
    await sleep(200)
    expect(isOver).toBe(false)
    await world.devnet.mine(1)
    expect(await locked).toMatchObject({ status: 'locked' })
  })
})

function split(signature: string): { readonly r: string; readonly s: string; readonly v: number } {
  return {
    r: signature.slice(0, 66),
    s: `0x${signature.slice(66, 130)}`,
    v: Number.parseInt(signature.slice(130), 16),
  }
}
