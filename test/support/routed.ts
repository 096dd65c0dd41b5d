import { ethers } from 'hardhat'
import { Wallet, ZeroAddress, ZeroHash, id, type BigNumberish, type Signer } from 'ethers'
import { OPG, deployFixture, makeOrder, orderIdOf, signOrder, type Fixture, type Order, type Terms } from './fixture'
import {
  ALLOCATION_TYPES,
  allocationIdOf,
  rootOf,
  sliceIdOf,
  sliceMessage,
  sliceProofOf,
  type Allocation,
  type Holder,
  type SliceRow,
} from './slices'
import { BATCH_TYPES, escrowDomain } from './typedData'

export * from './slices'

/** Ample for `KeyReceiptVerifier` with an ECDSA signature. */
export const GAS_PER_SLICE = 100_000n

export const Skip = {
  Unknown: 1n,
  Closed: 2n,
  Late: 3n,
  Overdrawn: 4n,
  Stale: 5n,
  NotSingle: 6n,
  NotPayable: 7n,
  WrongKey: 8n,
  Refused: 9n,
} as const

/** What routing needs of a fixture; its terms name no node. */
export type RoutedWorld = Pick<Fixture, 'escrow' | 'home' | 'terms' | 'payer' | 'requester' | 'facilitator'>

/** An allocation, made or still to be made, with those who hold its slices. */
export interface Plan {
  readonly order: Order
  readonly orderId: string
  readonly allocation: Allocation
  readonly allocationId: string
  readonly holders: readonly Holder[]
  /** Who signs for each slice: its node. */
  readonly signers: readonly Wallet[]
}

/** One slice to settle: its index, its fee, and what differs from what its holder would sign. */
export type SliceGiven = Partial<SliceRow> & { readonly index: number; readonly signer?: Signer }

/** Node number `index` of the tests: anybody, with a key and nothing else. */
export function sliceNode(index: number): Wallet {
  return new Wallet(id(`slice node ${String(index)}`), ethers.provider)
}

export function sliceNodes(count: number): Wallet[] {
  return Array.from({ length: count }, (_, index) => sliceNode(index))
}

export function routedTerms(terms: Terms): Terms {
  return { ...terms, node: ZeroAddress }
}

export interface RoutedFixture extends Fixture {
  readonly order: Order
  readonly orderId: string
}

/** The usual fixture, with terms without a node and one open order of 10 OPG under them. */
export async function routedFixture(): Promise<RoutedFixture> {
  const f = await deployFixture()
  const world = { ...f, terms: routedTerms(f.terms) }
  return { ...world, ...(await openRouted(world)) }
}

export async function openRouted(
  world: RoutedWorld,
  changes: Partial<Order> = {},
): Promise<{ order: Order; orderId: string }> {
  const order = await makeOrder(world, changes)
  await (await world.escrow.open(world.terms, await signOrder(world, world.payer, order))).wait()
  return { order, orderId: orderIdOf(world.home, world.terms, order) }
}

const nextSeries = { value: 0n }

/** Slices of `cap` for `count` nodes, or for `signers`; of a series of its own. */
export function plan(
  world: Pick<RoutedWorld, 'home' | 'terms'>,
  order: Order,
  options: {
    readonly cap: bigint
    readonly count?: number
    readonly signers?: readonly Wallet[]
    readonly series?: bigint
  },
): Plan {
  const signers = options.signers ?? sliceNodes(options.count ?? 3)
  const holders = signers.map(({ address }) => ({ node: address, evidenceKey: ZeroHash }))
  const series = options.series ?? nextSeries.value++
  const allocation = { root: rootOf(holders), count: holders.length, cap: options.cap, series }
  const orderId = orderIdOf(world.home, world.terms, order)
  return { order, orderId, allocation, allocationId: allocationIdOf(orderId, allocation), holders, signers }
}

/** Makes an allocation, as the facilitator. */
export async function allocate(world: RoutedWorld, order: Order, options: Parameters<typeof plan>[2]): Promise<Plan> {
  const planned = plan(world, order, options)
  const escrow = world.escrow.connect(world.facilitator)
  await (await escrow.allocate(world.terms, order, planned.allocation, '0x')).wait()
  return planned
}

/** Makes an allocation of 1 OPG a slice whose leaves are exactly these, whatever they name. */
export async function allocateTo(
  world: RoutedWorld & { readonly order: Order },
  holders: readonly Holder[],
  signers: readonly Wallet[],
): Promise<Plan> {
  const planned = plan(world, world.order, { cap: OPG, signers })
  const allocation = { ...planned.allocation, root: rootOf(holders) }
  const escrow = world.escrow.connect(world.facilitator)
  await (await escrow.allocate(world.terms, world.order, allocation, '0x')).wait()
  return { ...planned, holders, allocation, allocationId: allocationIdOf(planned.orderId, allocation) }
}

/** The facilitator's signature of an allocation, for anyone to relay. */
export async function signAllocation(
  world: Pick<RoutedWorld, 'home'>,
  signer: Signer,
  { orderId, allocation }: Pick<Plan, 'orderId' | 'allocation'>,
  options: { readonly chainId?: bigint } = {},
): Promise<string> {
  const domain = escrowDomain({ escrow: world.home.escrow, chainId: options.chainId ?? world.home.chainId })
  return signer.signTypedData(domain, ALLOCATION_TYPES, { orderId, ...allocation })
}

/** A slice's row with an invented tree of two receipts, and the evidence that its holder signs for it. */
export async function sliceRow(
  world: Pick<RoutedWorld, 'home'>,
  { allocationId, holders, signers }: Plan,
  { signer, ...given }: SliceGiven,
): Promise<SliceRow> {
  const { index } = given
  const holder = holders[index] ?? { node: ZeroAddress, evidenceKey: ZeroHash }
  const fee = given.fee ?? 0n
  const receiptsRoot = id(`receipts of ${String(index)}`)
  const row = { ...holder, fee, receiptsRoot, receiptCount: 2n, ...given }
  if (given.evidence !== undefined) return { ...row, evidence: given.evidence }
  const key = signer ?? signers[index] ?? sliceNode(index)
  const message = sliceMessage(sliceIdOf(allocationId, index), row)
  return { ...row, evidence: await key.signTypedData(escrowDomain(world.home), BATCH_TYPES, message) }
}

export async function sliceRows(
  world: Pick<RoutedWorld, 'home'>,
  planned: Plan,
  given: readonly SliceGiven[],
): Promise<SliceRow[]> {
  return Promise.all(given.map((one) => sliceRow(world, planned, one)))
}

/** The proof of some rows of an allocation. */
export function proofOf({ holders }: Pick<Plan, 'holders'>, rows: readonly { readonly index: number }[]): string[] {
  return sliceProofOf(
    holders,
    rows.map(({ index }) => index),
  )
}

/** The arguments of `settleSlices`, each as it should be or as `options` say. */
export function settleSlicesArgs(
  world: Pick<RoutedWorld, 'terms'>,
  planned: Plan,
  rows: readonly SliceRow[],
  options: { readonly proof?: readonly string[]; readonly gasPerSlice?: bigint } = {},
): [Terms, Order, Allocation, SliceRow[], string[], BigNumberish] {
  const proof = options.proof ?? proofOf(planned, rows)
  return [world.terms, planned.order, planned.allocation, [...rows], [...proof], options.gasPerSlice ?? GAS_PER_SLICE]
}

/** Settles slices, each under the evidence of its own holder, as the escrow's signer. */
export async function settleSlices(
  world: Pick<RoutedWorld, 'escrow' | 'home' | 'terms'>,
  planned: Plan,
  given: readonly SliceGiven[],
) {
  const rows = await sliceRows(world, planned, given)
  return world.escrow.settleSlices(...settleSlicesArgs(world, planned, rows))
}
