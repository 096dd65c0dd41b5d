import type { Devnet } from '@opg/devnet'
import {
  type Address,
  hashStruct,
  modelId,
  type Order,
  orderId,
  orderSeed,
  type SignedOrder,
  type Terms,
  typedDigest,
  domainSeparator,
  workOrderPermit,
  ZERO_ADDRESS,
  ZERO_BYTES32,
} from '@opg/protocol'
import { id, MaxUint256, type TransactionResponse, Wallet } from 'ethers'

/** Gas per order, row or inference, as the name says; whole transactions. */
export interface GasFigures {
  readonly w1Single: number
  readonly w1Batch100: number
  readonly w2: number
  readonly w3First: number
  readonly w3Later: number
  readonly openBatch100: number
  readonly settleRow100: number
  readonly settleLaterRow100: number
  readonly w1SingleAllShares: number
  readonly w1Batch100AllShares: number
}

const OPG = 10n ** 18n
const BATCH = 100
const MODEL_NAME = 'bench'
const GAS_PER_ORDER = 150_000n
const CLAIM_WINDOW_SECONDS = 30 * 86_400

/** Runs the workloads on a devnet of its own, with nothing but whole transactions. */
export async function measureWorkloads(devnet: Devnet): Promise<GasFigures> {
  const bench = await prepare(devnet)
  const plain = await run(bench, bench.terms)
  const allShares = await run(bench, bench.allSharesTerms)
  const perInference = (gas: number, inferences: number): number => Math.round(gas / inferences)
  return {
    w1Single: plain.single,
    w1Batch100: perInference(plain.open + plain.close, BATCH),
    w2: Math.round(plain.single / 10) / 100,
    w3First: perInference(plain.open + plain.later, BATCH * 10),
    w3Later: perInference(plain.later, BATCH * 10),
    openBatch100: perInference(plain.open, BATCH),
    settleRow100: perInference(plain.close, BATCH),
    settleLaterRow100: perInference(plain.later, BATCH),
    w1SingleAllShares: allShares.single,
    w1Batch100AllShares: perInference(allShares.open + allShares.close, BATCH),
  }
}

interface Bench {
  readonly devnet: Devnet
  readonly payers: readonly Wallet[]
  readonly node: Wallet
  readonly relayer: Wallet
  readonly claimBy: number
  /** The node and the network share the fee. */
  readonly terms: Terms
  /** Node, network, model owner and facilitator share it. */
  readonly allSharesTerms: Terms
  /** Permit2 nonces, one after the other, so that all but the first fall into a used word. */
  readonly nextNonce: (payer: string) => bigint
}

function walletAt(devnet: Devnet, index: number): Wallet {
  const wallet = devnet.wallets[index]
  if (wallet === undefined) throw new RangeError(`The devnet has no wallet ${String(index)}`)
  return wallet
}

async function prepare(devnet: Devnet): Promise<Bench> {
  const { contracts, deployment } = devnet
  const [node, relayer, modelOwner] = [walletAt(devnet, 1), walletAt(devnet, 2), walletAt(devnet, 3)]
  await mined(contracts.modelRegistry.connect(modelOwner).register(MODEL_NAME, 500))
  const payers: Wallet[] = []
  for (let index = 0; index < BATCH; index++) {
    const payer = new Wallet(id(`bench payer ${String(index)}`), devnet.provider)
    await mined(relayer.sendTransaction({ to: payer.address, value: OPG }))
    await devnet.mint(payer.address, 1_000n * OPG)
    await mined(contracts.token.connect(payer).approve(deployment.permit2, MaxUint256))
    payers.push(payer)
  }
  for (const payee of [node, relayer, modelOwner]) await devnet.mint(payee.address, 1n)

  const nonces = new Map<string, bigint>()
  const terms: Terms = {
    node: node.address as Address,
    facilitator: ZERO_ADDRESS,
    facilitatorBps: 0,
    verifier: deployment.keyReceiptVerifier,
    evidenceKey: ZERO_BYTES32,
    modelId: ZERO_BYTES32,
  }
  return {
    devnet,
    payers,
    node,
    relayer,
    claimBy: (await devnet.now()) + CLAIM_WINDOW_SECONDS,
    terms,
    allSharesTerms: {
      ...terms,
      facilitator: relayer.address as Address,
      facilitatorBps: 100,
      modelId: modelId({ registrant: modelOwner.address as Address, name: MODEL_NAME }),
    },
    nextNonce: (payer) => {
      const nonce = nonces.get(payer) ?? 0n
      nonces.set(payer, nonce + 1n)
      return nonce
    },
  }
}

/** Gas of whole transactions. */
interface Run {
  readonly open: number
  readonly later: number
  readonly close: number
  readonly single: number
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

  const [payer] = bench.payers
  if (payer === undefined) throw new RangeError('The bench has no payer')
  const one = await signOrder(bench, terms, payer)
  const opened = await mined(bench.devnet.contracts.escrow.connect(bench.relayer).open(terms, one))
  const settled = await settle(bench, { terms, orders: [one], fee: OPG / 100n, close: true })
  return { open, later, close, single: opened + settled }
}

async function signAll(bench: Bench, terms: Terms): Promise<SignedOrder[]> {
  const orders: SignedOrder[] = []
  for (const payer of bench.payers) orders.push(await signOrder(bench, terms, payer))
  return orders
}

async function signOrder({ devnet, claimBy, nextNonce }: Bench, terms: Terms, payer: Wallet): Promise<SignedOrder> {
  const { escrow, token } = devnet.deployment
  const address = payer.address as Address
  const order: Order = {
    payer: address,
    nonce: nextNonce(address),
    amount: OPG,
    job: { requester: address, requestHash: ZERO_BYTES32 },
    claimBy,
  }
  const deadline = BigInt(claimBy)
  const data = workOrderPermit({ chainId: BigInt(devnet.chainId), escrow, token, terms, order, deadline })
  const signature = await payer.signTypedData(data.domain, data.types, data.message)
  return { order, deadline, signature: signature as SignedOrder['signature'] }
}

async function openBatch({ devnet, relayer }: Bench, terms: Terms, orders: SignedOrder[]): Promise<number> {
  return mined(devnet.contracts.escrow.connect(relayer).openBatch(terms, orders, GAS_PER_ORDER))
}

interface Batch {
  readonly terms: Terms
  readonly orders: readonly SignedOrder[]
  readonly fee: bigint
  readonly close: boolean
}

async function settle({ devnet, relayer, node }: Bench, { terms, orders, fee, close }: Batch): Promise<number> {
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
  return mined(devnet.contracts.escrow.connect(relayer).settleWithClaim(terms, rows, evidence))
}

async function mined(sent: Promise<TransactionResponse>): Promise<number> {
  const receipt = await (await sent).wait()
  if (receipt?.status !== 1) throw new TypeError(`Transaction ${receipt?.hash ?? ''} failed, so its gas says nothing`)
  return Number(receipt.gasUsed)
}
