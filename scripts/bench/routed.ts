import {
  type Address,
  type Allocation,
  allocationId,
  createAllocation,
  domainSeparator,
  hashStruct,
  orderId,
  orderSeed,
  type SignedOrder,
  type Slice,
  sliceId,
  sliceProof,
  type SliceRow,
  type Terms,
  typedDigest,
  ZERO_ADDRESS,
  ZERO_BYTES32,
} from '@opg/protocol'
import { id, Wallet } from 'ethers'
import { type Bench, mined, OPG, signOrder } from './bench.js'

/** W4: one payer, 50 nodes, 20 inferences each. Gas per inference, slice or transaction, as the name says. */
export interface RoutedFigures {
  readonly w4First: number
  readonly w4Later: number
  readonly w4Direct: number
  readonly sliceRow50: number
  readonly allocate50: number
  /** Marginal: what one more slice costs in a call. */
  readonly rowSlice: number
}

const NODES = 50
const INFERENCES_PER_NODE = 20
const GAS_PER_SLICE = 100_000n

/** Runs W4 with payout to the nodes, who hold OPG before. */
export async function measureRouted(bench: Bench): Promise<RoutedFigures> {
  const { devnet, relayer } = bench
  const nodes: Wallet[] = []
  for (let index = 0; index < NODES; index++) {
    const node = new Wallet(id(`bench node ${String(index)}`))
    await devnet.mint(node.address, 1n)
    nodes.push(node)
  }
  const terms: Terms = { ...bench.terms, node: ZERO_ADDRESS, facilitator: relayer.address as Address }
  const [payer] = bench.payers
  if (payer === undefined) throw new RangeError('The bench has no payer')
  const signed = await signOrder(bench, terms, payer)
  const routed: Routed = { bench, terms, signed, nodes }

  const opened = await mined(devnet.contracts.escrow.connect(relayer).open(terms, signed))
  const first = await allocate(routed, 1n)
  const firstSettled = await settle(routed, first, nodes)
  const later = await allocate(routed, 2n)
  const laterSettled = await settle(routed, later, nodes)
  const halves = await allocate(routed, 3n)
  const halfSettled = await settle(routed, halves, nodes.slice(0, NODES / 2))
  await settle(routed, halves, nodes.slice(NODES / 2))
  const direct = await allocate(routed, 4n)
  let apart = 0
  for (const node of nodes) apart += await settle(routed, direct, [node])

  const inferences = NODES * INFERENCES_PER_NODE
  return {
    w4First: Math.round((opened + first.gas + firstSettled) / inferences),
    w4Later: Math.round((later.gas + laterSettled) / inferences),
    w4Direct: Math.round((direct.gas + apart) / inferences),
    sliceRow50: Math.round(laterSettled / NODES),
    allocate50: later.gas,
    rowSlice: Math.round((laterSettled - halfSettled) / (NODES / 2)),
  }
}

interface Routed {
  readonly bench: Bench
  readonly terms: Terms
  readonly signed: SignedOrder
  readonly nodes: readonly Wallet[]
}

interface Allocated {
  readonly allocation: Allocation
  readonly slices: readonly Slice[]
  readonly gas: number
}

async function allocate({ bench, terms, signed, nodes }: Routed, series: bigint): Promise<Allocated> {
  const holders = nodes.map(({ address }) => ({ node: address as Address, evidenceKey: ZERO_BYTES32 }))
  const { allocation, slices } = createAllocation({ holders, cap: OPG / 1_000n, series })
  const escrow = bench.devnet.contracts.escrow.connect(bench.relayer)
  return { allocation, slices, gas: await mined(escrow.allocate(terms, signed.order, allocation, '0x')) }
}

async function settle(
  { bench, terms, signed, nodes }: Routed,
  { allocation, slices }: Allocated,
  settling: readonly Wallet[],
): Promise<number> {
  const { devnet, relayer } = bench
  const context = { chainId: BigInt(devnet.chainId), escrow: devnet.deployment.escrow }
  const separator = domainSeparator(context)
  const allocated = allocationId(orderId({ seed: orderSeed(context), terms, order: signed.order }), allocation)
  const rows = slices.flatMap((slice, at): SliceRow[] => {
    const node = nodes[at]
    if (node === undefined || !settling.includes(node)) return []
    const settled = {
      cumulativeFee: OPG / 2_000n,
      receiptsRoot: id(node.address) as SliceRow['receiptsRoot'],
      receiptCount: BigInt(INFERENCES_PER_NODE),
    }
    const settlements = [{ orderId: sliceId(allocated, slice.index), ...settled, close: true }]
    const batch = { node: slice.node, evidenceKey: slice.evidenceKey, settlements }
    const digest = typedDigest(separator, hashStruct('SettlementBatch', batch))
    const evidence = node.signingKey.sign(digest).serialized as SliceRow['evidence']
    const { cumulativeFee: fee, ...rest } = settled
    return [{ ...slice, ...rest, fee, evidence }]
  })
  const holders = slices.map(({ node, evidenceKey }) => ({ node, evidenceKey }))
  const proof = sliceProof(
    holders,
    rows.map(({ index }) => index),
  )
  const escrow = devnet.contracts.escrow.connect(relayer)
  return mined(escrow.settleSlices(terms, signed.order, allocation, rows, proof, GAS_PER_SLICE))
}
