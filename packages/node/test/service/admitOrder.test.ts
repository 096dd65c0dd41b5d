import { WrongChainError } from '@opg/operator'
import { toWire } from '@opg/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { PaymentNode } from '../../src/service/openNode.js'
import { hash } from '../support/books.js'
import { World, orderInput } from '../support/world.js'

describe('admitOrder', () => {
  let world: World
  let node: PaymentNode

  beforeAll(async () => {
    world = await World.start()
  })
  afterAll(() => world.stop())
  beforeEach(async () => {
    node = await world.openNode()
  })
  afterEach(() => node.close())

  async function reasonOf(input: unknown, at = node): Promise<string> {
    const admission = await at.service.admitOrder(input)
    return admission.status === 'refused' ? admission.reason : admission.status
  }

  it('admits an order that the chain confirms, as often as it is sent', async () => {
    const order = await world.open()
    const admitted = {
      status: 'admitted',
      orderId: order.orderId,
      amount: 1_000n,
      held: 1_000n,
      claimBy: order.order.claimBy,
    }
    expect(await node.service.admitOrder(orderInput(order))).toEqual(admitted)
    expect(await node.service.admitOrder(orderInput(order))).toEqual(admitted)
  })

  it('refuses an order that is signed but not open on chain (N1)', async () => {
    expect(await reasonOf(orderInput(await world.draft()))).toBe('order-not-open')
  })

  it('refuses an order whose terms were altered after it opened', async () => {
    const order = await world.open()
    expect(await reasonOf(orderInput({ ...order, order: { ...order.order, amount: 2_000n } }))).toBe('order-not-open')
  })

  it('waits for the confirmations that its policy asks for', async () => {
    const careful = await world.openNode({ settle: { confirmations: 3 } })
    const order = await world.open()
    expect(await reasonOf(orderInput(order), careful)).toBe('order-not-open')
    await world.devnet.mine(1)
    expect(await reasonOf(orderInput(order), careful)).toBe('order-not-open')
    await world.devnet.mine(1)
    expect(await reasonOf(orderInput(order), careful)).toBe('admitted')
    await careful.close()
  })

  it.each([
    ['another node', { node: '0x9999999999999999999999999999999999999999' }, 'wrong-node'],
    ['a model that is not served', { modelId: hash('other') }, 'wrong-model'],
    [
      'a verifier that the payer wrote itself',
      { verifier: '0x9999999999999999999999999999999999999999' },
      'wrong-verifier',
    ],
    ["somebody else's evidence key (F8)", { evidenceKey: hash('key') }, 'wrong-evidence-key'],
    [
      'a facilitator who takes the node its share (F2)',
      { facilitator: '0x9999999999999999999999999999999999999999', facilitatorBps: 2_000 },
      'share-too-low',
    ],
  ] as const)('refuses an order for %s', async (_, terms, reason) => {
    const strict = await world.openNode({ gate: { minNetNodeBps: 9_000 } })
    const order = reason === 'share-too-low' ? await world.open({ terms }) : await world.draft({ terms })
    expect(await reasonOf(orderInput(order), strict)).toBe(reason)
    await strict.close()
  })

  it('counts the network share as the chain took it down, not as it is now', async () => {
    const order = await world.open() // at 500 bps
    const { feePolicy, escrow } = world.devnet.contracts
    const id = await world.devnet.snapshot()
    await (await feePolicy.setNetworkBps(1_000)).wait()
    await (await escrow.syncNetworkBps()).wait()
    const atLimit = await world.openNode({ gate: { minNetNodeBps: 9_500 } })
    expect(await reasonOf(orderInput(order), atLimit)).toBe('admitted')
    expect(await reasonOf(orderInput(await world.open()), atLimit)).toBe('share-too-low')
    await atLimit.close()
    await world.devnet.revert(id)
  })

  it('refuses a verifier whose code is not the known one', async () => {
    const options = world.options()
    const [verifier] = options.verifiers
    if (verifier === undefined) throw new TypeError('no verifier')
    const wary = await world.openNode({ verifiers: [{ ...verifier, codeHash: hash('other code') }] })
    expect(await reasonOf(orderInput(await world.open()), wary)).toBe('wrong-verifier')
    await wary.close()
    // Without a configured hash, only the code of this release is taken.
    const notOurs = world.openNode({ verifiers: [{ ...verifier, address: world.devnet.deployment.token }] })
    await expect(notOurs).rejects.toBeInstanceOf(WrongChainError)
  })

  it.each([
    [-1, 'order-expires-too-soon'],
    [0, 'admitted'],
  ])('asks for its margin to claimBy: %i seconds over it', async (over, reason) => {
    let nowMs = 0
    const timed = await world.openNode({ gate: { minSecondsToClaimBy: 900 }, clock: () => nowMs })
    const order = await world.open()
    nowMs = (order.order.claimBy - 900 - over) * 1000
    expect(await reasonOf(orderInput(order), timed)).toBe(reason)
    await timed.close()
  })

  it('refuses an order that is too small', async () => {
    const picky = await world.openNode({ gate: { minAmount: 1_001n } })
    expect(await reasonOf(orderInput(await world.open()), picky)).toBe('amount-too-low')
    await picky.close()
  })

  it('refuses an order that other books have settled from: its receipts would never be paid', async () => {
    const order = await world.admitted(node)
    await node.service.serve(world.call(order, { index: 0n }))
    await node.settler.settleAll({ signal: new AbortController().signal })
    const lost = await world.openNode()
    expect(await reasonOf(orderInput(order), lost)).toBe('books-behind')
    expect(await reasonOf(orderInput(order), node)).toBe('admitted')
    await lost.close()
  })

  it('refuses an order that was closed on chain behind its back', async () => {
    const order = await world.admitted(node)
    await (await world.devnet.contracts.escrow.connect(world.node).release(order.terms, order.order)).wait()
    expect(await reasonOf(orderInput(order))).toBe('order-closed')
  })

  it.each([
    ['nothing', undefined, 'value'],
    ['text', 'order', 'value'],
    ['an array', [], 'value'],
    ['a missing member', { terms: {} }, 'terms.node'],
    ['a member without meaning', 'extra', 'extra'],
    ['a fractional amount', '1.5', 'order.amount'],
    ['a negative amount', '-1', 'order.amount'],
    ['an amount over 96 bits', (2n ** 96n).toString(), 'order.amount'],
  ])('names the field of malformed input: %s', async (_, value, field) => {
    const good = toWire({ terms: world.terms(), order: (await world.draft()).order })
    const input =
      field === 'order.amount'
        ? { ...good, order: { ...good.order, amount: value } }
        : value === 'extra'
          ? { ...good, extra: 1 }
          : value
    const admission = await node.service.admitOrder(input)
    expect(admission).toMatchObject({ status: 'refused', reason: 'malformed', httpStatus: 400 })
    if (admission.status === 'refused') expect(admission.detail).toContain(field)
  })

  it('refuses an address with a bad checksum', async () => {
    const { terms, order } = await world.draft()
    const bad = terms.node.replace(/[a-f]/, (letter) => letter.toUpperCase())
    const admission = await node.service.admitOrder(toWire({ terms: { ...terms, node: bad }, order }))
    expect(admission).toMatchObject({ reason: 'malformed' })
  })
})
