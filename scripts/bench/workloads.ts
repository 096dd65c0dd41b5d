import {
  hashStruct,
  orderId,
  orderSeed,
  type SignedOrder,
  type Terms,
  typedDigest,
  domainSeparator,
} from '@opg/protocol'
import type { Devnet } from '@opg/devnet'
import { id } from 'ethers'
import { BATCH, type Bench, mined, OPG, prepare, signOrder } from './bench.js'
import { type RoutedFigures, measureRouted } from './routed.js'
import { type UptoFigures, measureUpto } from './upto.js'

/** Gas per order, row or inference, as the name says; whole transactions. */
export interface GasFigures extends RoutedFigures, UptoFigures {
  readonly w1Single: number
  readonly w1SingleWithPayout: number
  readonly w1Batch100: number
  readonly w2: number
  readonly w3First: number
  readonly w3Later: number
  readonly openBatch100: number
  readonly settleRow100: number
  readonly settleLaterRow100: number
  readonly w1SingleAllShares: number
  readonly w1Batch100AllShares: number
  /** Marginal: what one more row costs in a batch. */
  readonly rowOpen: number
  readonly rowSettle: number
  readonly rowClose: number
}

const GAS_PER_ORDER = 150_000n

/** Runs the workloads on a devnet of its own, with nothing but whole transactions. */
export async function measureWorkloads(devnet: Devnet): Promise<GasFigures> {
  const bench = await prepare(devnet)
  const plain = await run(bench, bench.terms)
  const allShares = await run(bench, bench.allSharesTerms)
  const routed = await measureRouted(bench)
  const upto = await measureUpto(bench)
  const perInference = (gas: number, inferences: number): number => Math.round(gas / inferences)
  return {
    w1Single: plain.single,
    w1SingleWithPayout: plain.singleWithPayout,
    w1Batch100: perInference(plain.open + plain.close, BATCH),
    w2: Math.round(plain.single / 10) / 100,
    w3First: perInference(plain.open + plain.later, BATCH * 10),
    w3Later: perInference(plain.later, BATCH * 10),
    openBatch100: perInference(plain.open, BATCH),
    settleRow100: perInference(plain.close, BATCH),
    settleLaterRow100: perInference(plain.later, BATCH),
    w1SingleAllShares: allShares.single,
    w1Batch100AllShares: perInference(allShares.open + allShares.close, BATCH),
    rowOpen: perInference(plain.open - plain.openHalf, BATCH / 2),
    rowSettle: perInference(plain.later - plain.laterHalf, BATCH / 2),
    rowClose: perInference(plain.close - plain.closeHalf, BATCH / 2),
    ...routed,
    ...upto,
  }
}

/** Gas of whole transactions. */
interface Run {
  readonly open: number
  readonly openHalf: number
  readonly later: number
  readonly laterHalf: number
  readonly close: number
  readonly closeHalf: number
  readonly single: number
  readonly singleWithPayout: number
}

async function run(bench: Bench, terms: Terms): Promise<Run> {
  // First round: warms every slot that is warm in the steady state.
  const first = await signAll(bench, terms)
  await openBatch(bench, terms, first)
  await settle(bench, { terms, orders: first, fee: OPG / 100n, close: false })

  const second = await signAll(bench, terms)
  const open = await openBatch(bench, terms, second)
  await settle(bench, { terms, orders: second, fee: OPG / 100n, close: false })
  const later = await settle(bench, { terms, orders: second, fee: OPG / 50n, close: false })

  const third = await signAll(bench, terms)
  await openBatch(bench, terms, third)
  const close = await settle(bench, { terms, orders: third, fee: OPG / 100n, close: true })

  const half = (await signAll(bench, terms)).slice(0, BATCH / 2)
  const openHalf = await openBatch(bench, terms, half)
  await settle(bench, { terms, orders: half, fee: OPG / 100n, close: false })

  return {
    open,
    openHalf,
    later,
    laterHalf: await settle(bench, { terms, orders: half, fee: OPG / 50n, close: false }),
    close,
    closeHalf: await settle(bench, { terms, orders: half, fee: OPG / 25n, close: true }),
    single: await openAndSettle(bench, terms, false),
    singleWithPayout: await openAndSettle(bench, terms, true),
  }
}

/** One order alone. The node has a credit before, as in the steady state. */
async function openAndSettle(bench: Bench, terms: Terms, payout: boolean): Promise<number> {
  const [payer, other] = bench.payers
  if (payer === undefined || other === undefined) throw new RangeError('The bench has too few payers')
  const before = await signOrder(bench, terms, other)
  await mined(bench.devnet.contracts.escrow.connect(bench.relayer).open(terms, before))
  await settle(bench, { terms, orders: [before], fee: OPG / 100n, close: true, payout: false })
  const one = await signOrder(bench, terms, payer)
  const opened = await mined(bench.devnet.contracts.escrow.connect(bench.relayer).open(terms, one))
  return opened + (await settle(bench, { terms, orders: [one], fee: OPG / 100n, close: true, payout }))
}

async function signAll(bench: Bench, terms: Terms): Promise<SignedOrder[]> {
  const orders: SignedOrder[] = []
  for (const payer of bench.payers) orders.push(await signOrder(bench, terms, payer))
  return orders
}

async function openBatch({ devnet, relayer }: Bench, terms: Terms, orders: SignedOrder[]): Promise<number> {
  return mined(devnet.contracts.escrow.connect(relayer).openBatch(terms, orders, GAS_PER_ORDER))
}

interface Batch {
  readonly terms: Terms
  readonly orders: readonly SignedOrder[]
  readonly fee: bigint
  readonly close: boolean
  /** Pays the node in the same call. */
  readonly payout?: boolean
}

async function settle(
  { devnet, relayer, node }: Bench,
  { terms, orders, fee, close, payout = true }: Batch,
): Promise<number> {
  const context = { chainId: BigInt(devnet.chainId), escrow: devnet.deployment.escrow }
  const seed = orderSeed(context)
  const rows = orders.map(({ order }) => ({
    order,
    cumulativeFee: fee,
    receiptsRoot: id(`${order.payer}${String(fee)}`) as SignedOrder['signature'],
    receiptCount: 10n,
    close,
  }))
  const settlements = rows.map(({ order, ...row }) => ({ orderId: orderId({ seed, terms, order }), ...row }))
  const batch = { node: terms.node, evidenceKey: terms.evidenceKey, settlements }
  const digest = typedDigest(domainSeparator(context), hashStruct('SettlementBatch', batch))
  const evidence = node.signingKey.sign(digest).serialized
  const escrow = devnet.contracts.escrow.connect(relayer)
  return mined(payout ? escrow.settleWithClaim(terms, rows, evidence) : escrow.settle(terms, rows, evidence))
}
