import { VoucherReceiptVerifier__factory } from '@opg/bindings'
import { Wallet, concat, toBeHex } from 'ethers'
import {
  EMPTY_ROOT,
  type Hex,
  type SliceHolder,
  type SliceRow,
  ZERO_BYTES32,
  parseAddress,
  typedData,
} from '@opg/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type AllocationInput,
  type PreparedAllocation,
  type PreparedOrder,
  type RoutedSlice,
  type Session,
  type SliceGrant,
  allocateSlices,
  createSession,
  createWorkOrder,
  fetchSliceSettlements,
  keyEvidence,
  memoryReceiptLog,
  openReceiptBook,
  orderStatus,
  prepareAllocation,
  reclaim,
  releaseRouted,
  requestClose,
  routedStatus,
  settleSlices,
  signAllocation,
  signVoucher,
  syncReceipts,
  verifyFraud,
} from '../src/index.js'
import { ChainWorld, AMOUNT, WINDOW } from './support/chainWorld.js'
import { FakeNode, FEE } from './support/fakeNode.js'
import { addressOf, asHex, signReceipt } from './support/world.js'

const CAP = 100n
const QUICK = { timeoutMs: 5_000, backoffMs: 1 }
let world: ChainWorld
let facilitator: Wallet
let relayer: Wallet
let payer: Wallet
let work: PreparedOrder
let nodes: readonly FakeNode[]
let nodeWallets: readonly Wallet[]

beforeAll(async () => {
  world = await ChainWorld.start()
  facilitator = world.walletAt(3)
  relayer = world.walletAt(2)
  nodeWallets = [world.walletAt(10), world.walletAt(11), world.walletAt(12)]
})
afterAll(async () => {
  await world.stop()
})
beforeEach(async () => {
  payer = await world.newPayer()
  work = await world.openOrder(payer, { terms: world.termsOf({ facilitator: addressOf(facilitator) }) })
  nodes = await Promise.all(nodeWallets.map((wallet) => FakeNode.start({ wallet, escrow: world.escrow })))
})
afterEach(async () => {
  await Promise.all(nodes.map((node) => node.stop()))
})

const holdersOf = (): readonly SliceHolder[] =>
  nodeWallets.map((wallet) => ({ node: addressOf(wallet), evidenceKey: ZERO_BYTES32 }))

function prepare(change: Partial<AllocationInput> = {}): PreparedAllocation {
  const { terms, order } = work
  return prepareAllocation({
    escrow: world.escrow,
    terms,
    order,
    holders: holdersOf(),
    cap: CAP,
    series: 0n,
    ...change,
  })
}

async function allocated(change: Partial<AllocationInput> = {}): Promise<PreparedAllocation> {
  const prepared = prepare(change)
  expect((await allocateSlices(facilitator, { escrow: world.escrow, prepared })).status).toBe('allocated')
  return prepared
}

function sliceAt(prepared: PreparedAllocation, index: number): RoutedSlice {
  const slice = prepared.slices[index]
  if (slice === undefined) throw new TypeError(`no slice ${index.toString()}`)
  return slice
}

function nodeAt(index: number): FakeNode {
  const node = nodes[index]
  if (node === undefined) throw new TypeError(`no node ${index.toString()}`)
  return node
}

async function sessionOn({ grant }: { readonly grant: SliceGrant }, node: FakeNode): Promise<Session> {
  const { terms, order } = work
  const evidence = keyEvidence(grant.slice)
  const log = memoryReceiptLog()
  const book = await openReceiptBook({ escrow: world.escrow, terms, order, slice: grant, evidence, log })
  const now = await world.devnet.now()
  const parts = { nodeUrl: node.url, fetch, requester: payer, book, now: () => now, ...QUICK }
  const opened = await createSession(parts)
  if (opened.status === 'refused') throw new TypeError(opened.detail)
  return opened.session
}

/** A session on each slice, with as many requests as the node has the index, and one more. */
async function workOn(prepared: PreparedAllocation): Promise<readonly SliceRow[]> {
  return Promise.all(
    prepared.slices.map(async (slice, i) => {
      const session = await sessionOn(slice, nodeAt(i))
      for (let asked = 0; asked <= i; asked++) await session.infer({ model: 'm' }, { maxFee: FEE })
      return nodeAt(i).rowOf(slice.sliceId)
    }),
  )
}

const statusOf = (prepared: PreparedAllocation) =>
  routedStatus(world.devnet.provider, { escrow: world.escrow, ...prepared, allocations: [prepared.allocation] })

const settle = (prepared: PreparedAllocation, rows: readonly SliceRow[]) =>
  settleSlices(relayer, { escrow: world.escrow, ...prepared, rows })

describe('a routed order', () => {
  it('is one deposit for many nodes: allocated, worked on, settled in one transaction, and closed', async () => {
    const prepared = await allocated()
    expect(await statusOf(prepared)).toMatchObject({
      order: { status: 'open', held: AMOUNT, reserved: 3n * CAP },
      free: AMOUNT - 3n * CAP,
      allocations: [{ allocationId: prepared.allocationId, isAllocated: true, unsettled: [0, 1, 2] }],
    })
    const rows = await workOn(prepared)
    const early = { escrow: world.escrow, ...prepared }
    expect(await releaseRouted(facilitator, early)).toMatchObject({ status: 'reserved' })

    const sent = await settle(prepared, rows)
    expect(sent).toMatchObject({
      status: 'sent',
      rows: prepared.slices.map(({ sliceId }) => ({ status: 'settled', sliceId })),
    })
    expect(await statusOf(prepared)).toMatchObject({
      order: { status: 'open', released: 6n * FEE, reserved: 0n },
      free: AMOUNT - 6n * FEE,
      allocations: [{ unsettled: [] }],
    })
    expect(await settle(prepared, rows)).toEqual({
      status: 'nothing-to-settle',
      rows: prepared.slices.map(({ sliceId }) => ({ status: 'skipped', sliceId, reason: 'Closed' })),
    })
    expect(await releaseRouted(facilitator, early)).toMatchObject({ status: 'released', refund: AMOUNT - 6n * FEE })
    expect(await releaseRouted(facilitator, early)).toMatchObject({ status: 'closed' })
    expect((await orderStatus(world.devnet.provider, early)).status).toBe('closed')
  })

  it('is routed by the payer itself, if it names itself', async () => {
    work = await world.openOrder(payer, { terms: world.termsOf({ facilitator: addressOf(payer) }), nonce: 1n })
    const prepared = prepare()
    expect((await allocateSlices(payer, { escrow: world.escrow, prepared })).status).toBe('allocated')
  })

  it('goes back to the payer from claimBy on, whatever is reserved', async () => {
    const prepared = await allocated()
    await world.devnet.increaseTime(WINDOW + 1)
    expect(await statusOf(prepared)).toMatchObject({ order: { status: 'reclaimable' }, free: 0n })
    const session = await sessionOn(sliceAt(prepared, 0), nodeAt(0))
    expect(await session.infer({}, { maxFee: FEE })).toMatchObject({ by: 'limits', reason: 'ORDER_EXPIRED' })
    const { terms, order } = work
    expect(await reclaim(relayer, { escrow: world.escrow, terms, order })).toMatchObject({
      status: 'reclaimed',
      refund: AMOUNT,
    })
  })

  it('names its allocation by what the escrow itself computes', async () => {
    const { terms, order, allocation, allocationId, orderId } = prepare()
    const { escrow } = world.devnet.contracts
    expect(await escrow.allocationId(terms, order, allocation)).toBe(allocationId)
    expect(await escrow.orderId(terms, order)).toBe(orderId)
  })

  it('that nobody opened is unknown', async () => {
    work = await world.prepareOrder(payer, { terms: world.termsOf({ facilitator: addressOf(facilitator) }), nonce: 9n })
    const prepared = prepare()
    expect(await allocateSlices(facilitator, { escrow: world.escrow, prepared })).toMatchObject({
      status: 'refused',
      reason: 'OrderUnknown',
    })
    expect(await releaseRouted(facilitator, { escrow: world.escrow, ...prepared })).toMatchObject({ status: 'unknown' })
    expect(await statusOf(prepared)).toMatchObject({ order: { status: 'unknown' }, free: 0n })
  })
})

describe('createWorkOrder', () => {
  it('routes only what a facilitator can divide: a session of many requests', () => {
    const input = {
      escrow: world.escrow,
      terms: work.terms,
      payer: work.order.payer,
      amount: 1n,
      nonce: 0n,
      claimBy: 100,
      now: 1,
    }
    expect(createWorkOrder(input).terms.node).toBe(work.terms.node)
    expect(() => createWorkOrder({ ...input, requestHash: asHex(`0x${'01'.repeat(32)}`) })).toThrow(
      expect.objectContaining({ field: 'order.job.requestHash' }),
    )
    const unrouted = { ...work.terms, facilitator: work.terms.node }
    expect(() => createWorkOrder({ ...input, terms: unrouted })).toThrow(
      expect.objectContaining({ field: 'terms.node' }),
    )
    const bySelf = { ...work.terms, facilitator: world.escrow.escrow }
    expect(() => createWorkOrder({ ...input, terms: bySelf })).toThrow(
      expect.objectContaining({ field: 'terms.facilitator' }),
    )
  })
})

describe('prepareAllocation', () => {
  it.each([
    ['no holders', { holders: [] }, 'holders'],
    ['a cap of zero', { cap: 0n }, 'cap'],
    ['a cap that is a number', { cap: 1 }, 'cap'],
    ['more than the order holds', { cap: AMOUNT / 3n + 1n }, 'cap'],
    ['a negative series', { series: -1n }, 'series'],
    [
      'a holder without a node',
      { holders: [{ node: `0x${'00'.repeat(20)}`, evidenceKey: ZERO_BYTES32 }] },
      'holders[0].node',
    ],
    [
      'a holder with a short key',
      { holders: [{ node: `0x${'01'.repeat(20)}`, evidenceKey: '0x00' }] },
      'holders[0].evidenceKey',
    ],
  ])('refuses %s', (_, change, field) => {
    expect(() => prepare(change as Partial<AllocationInput>)).toThrow(expect.objectContaining({ field }))
  })

  it('refuses a direct order, the escrow as a holder, and a key that is not the pinned one', () => {
    const direct = { ...work.terms, node: addressOf(relayer) }
    expect(() => prepare({ terms: direct })).toThrow(expect.objectContaining({ field: 'terms.node' }))
    const holders = [{ node: world.escrow.escrow, evidenceKey: ZERO_BYTES32 }]
    expect(() => prepare({ holders })).toThrow(expect.objectContaining({ field: 'holders[0].node' }))
    const pinned = { ...work.terms, evidenceKey: asHex(`0x${'0a'.repeat(32)}`) }
    expect(() => prepare({ terms: pinned })).toThrow(expect.objectContaining({ field: 'holders[0].evidenceKey' }))
  })

  it('fills the order to its last unit', async () => {
    const prepared = await allocated({ cap: AMOUNT / 2n, holders: holdersOf().slice(0, 2) })
    expect(await statusOf(prepared)).toMatchObject({ free: 0n })
  })
})

describe('allocateSlices', () => {
  it('is relayed with the facilitator’s signature, once', async () => {
    const prepared = prepare()
    const signature = await signAllocation(facilitator, prepared)
    const options = { escrow: world.escrow, prepared, signature }
    expect(await allocateSlices(relayer, options)).toMatchObject({ status: 'allocated', slices: prepared.slices })
    expect(await allocateSlices(relayer, options)).toEqual({
      status: 'already-allocated',
      allocationId: prepared.allocationId,
      slices: prepared.slices,
    })
  })

  it('without a signature is the facilitator’s alone, and a stranger’s signature is none', async () => {
    const prepared = prepare()
    const { escrow } = world
    await expect(allocateSlices(relayer, { escrow, prepared })).rejects.toMatchObject({ code: 'SIGNER_MISMATCH' })
    await expect(signAllocation(relayer, prepared)).rejects.toMatchObject({ code: 'SIGNER_MISMATCH' })
    const { domain, types, message } = prepared.typedData
    const forged = asHex(await relayer.signTypedData(domain, types, message))
    expect(await allocateSlices(relayer, { escrow, prepared, signature: forged })).toMatchObject({
      status: 'refused',
      reason: 'NotFacilitator',
    })
  })

  it('facilitator allocates more than the order: the escrow refuses what is not free, and nothing is sent', async () => {
    await allocated({ cap: 300n })
    const prepared = prepare({ cap: 100n, series: 1n })
    const gas = await world.devnet.provider.getBalance(facilitator.address)
    expect(await allocateSlices(facilitator, { escrow: world.escrow, prepared })).toMatchObject({
      status: 'refused',
      reason: 'AllocationTooLarge',
    })
    expect(await world.devnet.provider.getBalance(facilitator.address)).toBe(gas)
    const rest = prepare({ cap: 100n, series: 1n, holders: holdersOf().slice(0, 1) })
    expect((await allocateSlices(facilitator, { escrow: world.escrow, prepared: rest })).status).toBe('allocated')
  })

  it('same allocation twice: nothing more is reserved, unless the facilitator says so by another series', async () => {
    const prepared = await allocated()
    expect((await allocateSlices(facilitator, { escrow: world.escrow, prepared })).status).toBe('already-allocated')
    expect(await statusOf(prepared)).toMatchObject({ free: AMOUNT - 3n * CAP })
    await allocated({ series: 1n })
    expect(await statusOf(prepared)).toMatchObject({ free: AMOUNT - 6n * CAP })
  })

  it('a stranger relays an old allocation: settled slices stay settled, and another order takes none of it', async () => {
    const prepared = prepare()
    const signature = await signAllocation(facilitator, prepared)
    const { escrow } = world
    await allocateSlices(relayer, { escrow, prepared, signature })
    await settle(prepared, await workOn(prepared))
    expect((await allocateSlices(relayer, { escrow, prepared, signature })).status).toBe('already-allocated')
    expect(await statusOf(prepared)).toMatchObject({ order: { reserved: 0n }, allocations: [{ unsettled: [] }] })

    work = await world.openOrder(payer, { terms: work.terms, nonce: 1n })
    expect(await allocateSlices(relayer, { escrow, prepared: prepare(), signature })).toMatchObject({
      reason: 'NotFacilitator',
    })
    await world.devnet.increaseTime(WINDOW + 1)
    const late = prepare({ series: 5n })
    const lateSignature = await signAllocation(facilitator, late)
    expect(await allocateSlices(relayer, { escrow, prepared: late, signature: lateSignature })).toMatchObject({
      reason: 'OrderExpired',
    })
  })
})

describe('settleSlices', () => {
  it('settles some, with a proof for just these, and later the others; zero gives a slice back', async () => {
    const prepared = await allocated()
    const [first, second, third] = await workOn(prepared)
    if (first === undefined || second === undefined || third === undefined) throw new TypeError('no rows')
    expect(await settle(prepared, [third, first])).toMatchObject({
      status: 'sent',
      rows: [{ status: 'settled', sliceId: sliceAt(prepared, 2).sliceId }, { status: 'settled' }],
    })
    expect(await statusOf(prepared)).toMatchObject({ allocations: [{ unsettled: [1] }] })
    const node = nodeAt(1)
    const { sliceId } = sliceAt(prepared, 1)
    const nothing = node.settlementOf(sliceId, { cumulativeFee: 0n, receiptsRoot: ZERO_BYTES32, receiptCount: 0n })
    const { cumulativeFee: fee, receiptsRoot, receiptCount } = nothing
    const empty = { ...second, fee, receiptsRoot, receiptCount, evidence: node.evidenceFor(nothing) }
    expect(await settle(prepared, [empty])).toMatchObject({ rows: [{ status: 'settled', nodeFee: 0n }] })
  })

  it('leaves out what the escrow would pass over, says why, and pays the others', async () => {
    const prepared = await allocated()
    const [first, second, third] = await workOn(prepared)
    if (first === undefined || second === undefined || third === undefined) throw new TypeError('no rows')
    const rows = [
      { ...first, evidence: second.evidence },
      { ...second, fee: CAP + 1n },
      third,
      { ...third, node: first.node },
      third,
    ]
    expect(await settle(prepared, rows)).toMatchObject({
      status: 'sent',
      rows: [
        { status: 'skipped', reason: 'Refused' },
        { status: 'skipped', reason: 'Overdrawn' },
        { status: 'settled' },
        { status: 'skipped', reason: 'NotOfAllocation' },
        { status: 'skipped', reason: 'Duplicate' },
      ],
    })
  })

  it('a stranger sends a bad row for somebody’s slice first: the good one counts', async () => {
    const prepared = await allocated()
    const [first] = await workOn(prepared)
    if (first === undefined) throw new TypeError('no row')
    expect(await settle(prepared, [{ ...first, fee: 0n }, first])).toMatchObject({
      rows: [{ status: 'skipped', reason: 'Duplicate' }, { status: 'settled' }],
    })
  })

  it('raises an estimate with which it would do less: too little gas is a refused slice, and no revert', async () => {
    const prepared = await allocated()
    const rows = await workOn(prepared)
    const starved = new Wallet(relayer.privateKey, relayer.provider)
    starved.estimateGas = () => Promise.resolve(60_000n)
    expect(await settleSlices(starved, { escrow: world.escrow, ...prepared, rows })).toMatchObject({
      status: 'sent',
      rows: [{ status: 'settled' }, { status: 'settled' }, { status: 'settled' }],
    })
  })

  it('says of an allocation that was never reserved, or came too late, that there is nothing to settle', async () => {
    const prepared = await allocated()
    const rows = await workOn(prepared)
    const other = prepare({ series: 8n })
    expect(await settle(other, rows)).toMatchObject({
      status: 'nothing-to-settle',
      rows: [{ reason: 'Unknown' }, { reason: 'Unknown' }, { reason: 'Unknown' }],
    })
    await world.devnet.increaseTime(WINDOW + 1)
    expect(await settle(prepared, rows)).toMatchObject({
      status: 'nothing-to-settle',
      rows: [{ reason: 'Late' }, {}, {}],
    })
  })

  it('names what a caller got wrong', async () => {
    const prepared = await allocated()
    const [row] = await workOn(prepared)
    if (row === undefined) throw new TypeError('no row')
    await expect(settle(prepared, [])).rejects.toMatchObject({ field: 'rows' })
    await expect(settle(prepared, [{ ...row, index: 3 }])).rejects.toMatchObject({ field: 'rows[0].index' })
    await expect(settle(prepared, [{ ...row, fee: -1n }])).rejects.toMatchObject({ field: 'rows[0].fee' })
    const holders = [...prepared.holders].reverse()
    await expect(settle({ ...prepared, holders }, [row])).rejects.toMatchObject({ field: 'holders' })
  })
})

describe('facilitator names itself as a node and settles without work', () => {
  /** A slice that the facilitator gave to itself, as the node of its own, with a row that claims all of it. */
  async function ownSlice() {
    const holders = [{ node: addressOf(facilitator), evidenceKey: ZERO_BYTES32 }]
    const prepared = await allocated({ holders })
    const { grant, sliceId } = sliceAt(prepared, 0)
    const settlement = { orderId: sliceId, cumulativeFee: CAP, receiptsRoot: EMPTY_ROOT, receiptCount: 0n, close: true }
    const { node, evidenceKey } = grant.slice
    const { domain, types, message } = typedData(world.escrow, {
      name: 'SettlementBatch',
      value: { node, evidenceKey, settlements: [settlement] },
    })
    const evidence = asHex(await facilitator.signTypedData(domain, types, message))
    const row = { ...grant.slice, fee: CAP, receiptsRoot: EMPTY_ROOT, receiptCount: 0n, evidence }
    return { prepared, sliceId, row }
  }

  async function voucherBy(signer: Wallet, sliceId: Hex): Promise<string> {
    const voucher = { orderId: sliceId, node: addressOf(facilitator), maxCumulativeFee: CAP }
    const signed = await signVoucher(signer, { escrow: world.escrow, requester: addressOf(signer), voucher })
    return concat([toBeHex(CAP, 12), signed.signature])
  }

  it('where the payer let the node’s own word be the evidence, it is paid: that is what the terms say', async () => {
    const { prepared, row } = await ownSlice()
    expect(await settle(prepared, [row])).toMatchObject({ rows: [{ status: 'settled' }] })
  })

  it('where the payer asked for vouchers, nothing moves without its requester’s signature', async () => {
    const contract = await new VoucherReceiptVerifier__factory(relayer).deploy()
    const verifier = parseAddress(await contract.getAddress())
    const terms = world.termsOf({ facilitator: addressOf(facilitator), verifier })
    work = await world.openOrder(payer, { terms, nonce: 1n })
    const { prepared, sliceId, row } = await ownSlice()
    const forged = { ...row, evidence: asHex(concat([row.evidence, await voucherBy(facilitator, sliceId)])) }
    expect(await settle(prepared, [row, forged])).toMatchObject({
      status: 'nothing-to-settle',
      rows: [{ reason: 'Refused' }, { reason: 'Refused' }],
    })
    const agreed = { ...row, evidence: asHex(concat([row.evidence, await voucherBy(payer, sliceId)])) }
    expect(await settle(prepared, [agreed])).toMatchObject({ rows: [{ status: 'settled' }] })
  })
})

describe('a session on a slice', () => {
  it('buys up to the cap, with receipts of its own, and its settlement is checked against them', async () => {
    const prepared = await allocated()
    const slice = sliceAt(prepared, 0)
    const session = await sessionOn(slice, nodeAt(0))
    expect(session.book.orderId).toBe(slice.sliceId)
    expect(session.book.left).toBe(CAP)
    expect(await session.infer({}, { maxFee: CAP + 1n })).toMatchObject({ reason: 'ORDER_EXHAUSTED' })
    expect(await session.infer({}, { maxFee: CAP })).toMatchObject({ status: 'answered' })
    expect(await syncReceipts(session.book, { nodeUrl: nodeAt(0).url, fetch })).toEqual({ kept: 0, frauds: [] })

    await settle(prepared, [nodeAt(0).rowOf(slice.sliceId)])
    const query = { escrow: world.escrow, orderId: prepared.orderId, fromBlock: 0 }
    const [event, ...more] = await fetchSliceSettlements(world.devnet.provider, { ...query, sliceId: slice.sliceId })
    expect(more).toEqual([])
    expect(event).toMatchObject({ orderId: slice.sliceId, cumulativeFee: FEE, receiptCount: 1n, refund: null })
    if (event !== undefined) expect(session.book.checkSettlement(event)).toEqual({ status: 'consistent' })
    expect(await fetchSliceSettlements(world.devnet.provider, query)).toEqual([event])
  })

  it('a node answers with a receipt of another slice: it is not believed, and not kept', async () => {
    const [holder] = holdersOf()
    if (holder === undefined) throw new TypeError('no holder')
    const prepared = await allocated({ holders: [holder, holder] })
    const [mine, other] = [sliceAt(prepared, 0), sliceAt(prepared, 1)]
    const node = nodeAt(0)
    const session = await sessionOn(mine, node)
    const signer = world.walletAt(10)
    const separator = asHex(await world.devnet.contracts.escrow.domainSeparator())
    node.attack = (answer) => ({
      ...answer,
      signed: signReceipt({ ...answer.signed.receipt, orderId: other.sliceId }, signer, separator),
    })
    await expect(session.infer({}, { maxFee: FEE })).rejects.toMatchObject({
      code: 'RECEIPT_INVALID',
      field: 'receipt.orderId',
    })
    expect(session.book.audit()).toMatchObject({ receipts: 0, spent: 0n })
  })

  it('node settles its slice above its last receipt: the chain’s event and the receipt prove it', async () => {
    const prepared = await allocated()
    const slice = sliceAt(prepared, 0)
    const node = nodeAt(0)
    const session = await sessionOn(slice, node)
    await session.infer({}, { maxFee: CAP })
    const stolen = node.settlementOf(slice.sliceId, { cumulativeFee: CAP })
    const row = { ...node.rowOf(slice.sliceId), fee: CAP, evidence: node.evidenceFor(stolen) }
    expect(await settle(prepared, [row])).toMatchObject({ rows: [{ status: 'settled' }] })

    const query = { escrow: world.escrow, orderId: prepared.orderId, fromBlock: 0 }
    const [event] = await fetchSliceSettlements(world.devnet.provider, query)
    if (event === undefined) throw new TypeError('no event')
    const checked = session.book.checkSettlement(event)
    expect(checked).toMatchObject({ status: 'fraud', proof: { kind: 'settlement-above-receipt' } })
    if (checked.status !== 'fraud') return
    const { terms, order } = work
    const against = { escrow: world.escrow, terms, order, slice: slice.grant, evidence: keyEvidence(slice.grant.slice) }
    expect(verifyFraud(checked.proof, against)).toEqual({ status: 'proven', orderId: slice.sliceId })
    // Neither another slice's proof, nor the order's.
    expect(verifyFraud(checked.proof, { ...against, slice: sliceAt(prepared, 1).grant }).status).toBe('refuted')
  })

  it('node settles its slice by the last receipt’s leaf, a form that is not for slices: its root is not that of the receipts', async () => {
    const prepared = await allocated()
    const slice = sliceAt(prepared, 0)
    const session = await sessionOn(slice, nodeAt(0))
    for (let i = 0; i < 2; i++) await session.infer({}, { maxFee: FEE })
    const settlement = nodeAt(0).settlementOf(slice.sliceId)
    const leafOnly = session.book.proveInclusion(1n, 2n).leaf
    const event = { ...settlement, receiptsRoot: leafOnly, refund: null, transactionHash: ZERO_BYTES32 }
    expect(session.book.checkSettlement(event)).toMatchObject({
      status: 'fraud',
      proof: { kind: 'settlement-root-mismatch' },
    })
  })

  it('a facilitator hands out a slice that the allocation does not hold: it is refused before anything is signed', async () => {
    const prepared = await allocated()
    const { grant } = sliceAt(prepared, 0)
    const { terms, order } = work
    const open = (slice: SliceGrant | undefined) =>
      openReceiptBook({
        escrow: world.escrow,
        terms,
        order,
        slice,
        evidence: keyEvidence(grant.slice),
        log: memoryReceiptLog(),
      })
    const elsewhere = { ...grant, slice: { ...grant.slice, node: addressOf(relayer) } }
    await expect(open(elsewhere)).rejects.toMatchObject({ field: 'slice.proof' })
    const beyond = { ...grant, slice: { ...grant.slice, index: 3 } }
    await expect(open(beyond)).rejects.toMatchObject({ field: 'slice.proof' })
    await expect(open(undefined)).rejects.toMatchObject({ field: 'slice' })
    expect(() => keyEvidence(terms)).toThrow(expect.objectContaining({ field: 'node' }))
  })

  it('goes to the node that it is for, and to no other', async () => {
    const prepared = await allocated()
    await expect(sessionOn(sliceAt(prepared, 0), nodeAt(1))).rejects.toThrow('Not mine.')
  })

  it('is closed by a request for the slice, of the payer or the facilitator', async () => {
    const prepared = await allocated()
    const { grant, sliceId } = sliceAt(prepared, 0)
    const seen: string[] = []
    const options = {
      nodeUrl: nodeAt(0).url,
      fetch: (url: Request | URL | string) => {
        seen.push(url instanceof Request ? url.url : url.toString())
        return Promise.resolve(Response.json({ status: 'closing' }))
      },
      escrow: world.escrow,
      ...work,
      slice: grant,
      expiresAt: (await world.devnet.now()) + 60,
    }
    for (const signer of [payer, facilitator]) {
      expect(await requestClose(signer, options)).toEqual({ status: 'closing', orderId: sliceId })
    }
    await expect(requestClose(relayer, options)).rejects.toMatchObject({ code: 'SIGNER_MISMATCH' })
    expect(new Set(seen)).toEqual(new Set([`${nodeAt(0).url}/v1/orders/${sliceId}/close`]))
  })
})
