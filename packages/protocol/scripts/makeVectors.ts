/**
 * Writes vectors/protocol.json: inputs and expected results that Solidity and TypeScript are both held to (E12).
 *
 * It shares no code with src/: the structs are spelled out again, and all hashing is by ethers. Values come from a
 * counter, so a second run writes the same file. Of the contracts it takes the creation code of `UptoDesk`, which payers
 * sign: compile them before.
 *
 *   npm run vectors -w @opg/protocol
 */
import {
  AbiCoder,
  type TypedDataField,
  TypedDataEncoder,
  Wallet,
  concat,
  getAddress,
  getCreate2Address,
  id,
  keccak256,
  toUtf8Bytes,
} from 'ethers'
import { readFileSync, writeFileSync } from 'node:fs'

type Fields = Record<string, TypedDataField[]>
type Value = Record<string, unknown>

const PERMIT2 = '0x000000000022D473030F116dDEE9F6B43aC78BA3'
const abi = AbiCoder.defaultAbiCoder()

const fields = (text: string): TypedDataField[] =>
  text.split(',').map((member) => {
    const [type = '', name = ''] = member.split(' ')
    return { type, name }
  })

const TERMS = fields(
  'address node,address facilitator,uint16 facilitatorBps,address verifier,bytes32 evidenceKey,bytes32 modelId',
)
const JOB = fields('address requester,bytes32 requestHash')
const WORK_ORDER = fields('Terms terms,Job job,uint40 claimBy')
const SETTLEMENT = fields('bytes32 orderId,uint96 cumulativeFee,bytes32 receiptsRoot,uint64 receiptCount,bool close')

const TYPES: Record<string, Fields> = {
  Terms: { Terms: TERMS },
  Job: { Job: JOB },
  WorkOrder: { WorkOrder: WORK_ORDER, Terms: TERMS, Job: JOB },
  InferenceRequest: {
    InferenceRequest: fields(
      'bytes32 orderId,address node,uint64 index,bytes32 requestHash,uint96 maxFee,uint40 expiresAt',
    ),
  },
  InferenceReceipt: {
    InferenceReceipt: fields(
      'bytes32 orderId,address node,uint64 seq,bytes32 requestId,bytes32 responseHash,uint96 fee,uint96 cumulativeFee,uint40 timestamp',
    ),
  },
  Settlement: { Settlement: SETTLEMENT },
  SettlementBatch: {
    SettlementBatch: fields('address node,bytes32 evidenceKey,Settlement[] settlements'),
    Settlement: SETTLEMENT,
  },
  Voucher: { Voucher: fields('bytes32 orderId,address node,uint96 maxCumulativeFee') },
  CloseRequest: { CloseRequest: fields('bytes32 orderId,uint40 expiresAt') },
  Allocation: { Allocation: fields('bytes32 orderId,bytes32 root,uint8 count,uint96 cap,uint64 series') },
}

const PERMIT_TYPES: Fields = {
  PermitWitnessTransferFrom: fields(
    'TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,WorkOrder witness',
  ),
  TokenPermissions: fields('address token,uint256 amount'),
  WorkOrder: WORK_ORDER,
  Terms: TERMS,
  Job: JOB,
}

// Values: the first of each kind is all zero, the second all ones, the others look random.

let counter = 0
const random32 = (): string => keccak256(toUtf8Bytes(`vector ${String(counter++)}`))

type Style = 'zero' | 'max' | 'random'
const STYLES: readonly Style[] = ['zero', 'max', 'random', 'random', 'random']

function uint(bits: number, style: Style): bigint {
  if (style === 'zero') return 0n
  return style === 'max' ? 2n ** BigInt(bits) - 1n : BigInt(random32()) >> BigInt(256 - bits)
}

function valueOf(type: string, style: Style): unknown {
  const nested = TYPES[type]?.[type]
  if (nested !== undefined) {
    return Object.fromEntries(nested.map((field) => [field.name, valueOf(field.type, style)]))
  }
  if (type.endsWith('[]')) {
    return Array.from({ length: { zero: 0, max: 1, random: 3 }[style] }, () => valueOf(type.slice(0, -2), style))
  }
  if (type === 'bool') return style === 'random' ? uint(1, style) === 1n : style === 'max'
  if (type === 'address') return getAddress(`0x${uint(160, style).toString(16).padStart(40, '0')}`)
  if (type === 'bytes32') return `0x${uint(256, style).toString(16).padStart(64, '0')}`
  const bits = Number(type.slice('uint'.length))
  const value = uint(bits, style)
  // As the protocol's JSON has it: numbers where they always fit, else decimal strings.
  return bits <= 48 ? Number(value) : value.toString()
}

const structs = Object.entries(TYPES).flatMap(([type, types]) =>
  STYLES.map((style) => {
    const value = valueOf(type, style) as Value
    return { type, value, hash: TypedDataEncoder.hashStruct(type, types, value) }
  }),
)

const domains = STYLES.map((style) => {
  const chainId = style === 'random' ? uint(32, style).toString() : uint(256, style).toString()
  const escrow = valueOf('address', style) as string
  return {
    chainId,
    escrow,
    separator: TypedDataEncoder.hashDomain(escrowDomain(chainId, escrow)),
    orderSeed: seedOf(chainId, escrow),
  }
})

function escrowDomain(chainId: string, escrow: string) {
  return { name: 'InferenceEscrow', version: '1', chainId: BigInt(chainId), verifyingContract: escrow }
}

function seedOf(chainId: string, escrow: string): string {
  return keccak256(abi.encode(['bytes32', 'uint256', 'address'], [id('InferenceEscrow.order'), chainId, escrow]))
}

const orders = STYLES.map((style, i) => {
  const { chainId, escrow, orderSeed } = domains[i] ?? fail()
  const terms = valueOf('Terms', style) as Value
  const job = valueOf('Job', style) as Value
  const claimBy = valueOf('uint40', style)
  const order = {
    payer: valueOf('address', style) as string,
    nonce: valueOf('uint256', style) as string,
    amount: valueOf('uint96', style) as string,
    job,
    claimBy,
  }
  const workOrder = { terms, job, claimBy }
  const workOrderHash = TypedDataEncoder.hashStruct('WorkOrder', TYPES.WorkOrder ?? fail(), workOrder)
  const orderId = keccak256(
    abi.encode(
      ['bytes32', 'address', 'uint256', 'uint96', 'bytes32'],
      [orderSeed, order.payer, order.nonce, order.amount, workOrderHash],
    ),
  )
  const token = valueOf('address', style) as string
  const deadline = valueOf('uint256', style) as string
  const permit = {
    permitted: { token, amount: order.amount },
    spender: escrow,
    nonce: order.nonce,
    deadline,
    witness: workOrder,
  }
  const permitHash = TypedDataEncoder.hashStruct('PermitWitnessTransferFrom', PERMIT_TYPES, permit)
  const permitDigest = TypedDataEncoder.hash(
    { name: 'Permit2', chainId: BigInt(chainId), verifyingContract: PERMIT2 },
    PERMIT_TYPES,
    permit,
  )
  return { chainId, escrow, terms, order, workOrderHash, orderId, token, deadline, permitHash, permitDigest }
})

/** What is signed under the escrow's domain: the struct's hash, and its digest. */
const digests = [
  'InferenceRequest',
  'InferenceReceipt',
  'SettlementBatch',
  'Voucher',
  'CloseRequest',
  'Allocation',
].flatMap((type) =>
  STYLES.map((style, i) => {
    const { chainId, escrow } = domains[i] ?? fail()
    const types = TYPES[type] ?? fail()
    const value = valueOf(type, style) as Value
    const hash = TypedDataEncoder.hashStruct(type, types, value)
    return {
      chainId,
      escrow,
      type,
      value,
      hash,
      digest: TypedDataEncoder.hash(escrowDomain(chainId, escrow), types, value),
    }
  }),
)

const receipts = STYLES.map((style) => {
  const receipt = valueOf('InferenceReceipt', style) as Value
  const hash = TypedDataEncoder.hashStruct('InferenceReceipt', TYPES.InferenceReceipt ?? fail(), receipt)
  return { receipt, hash, leaf: leafOf(hash) }
})

// The tree, from the definitions of RFC 9162, section 2.1.

function leafOf(content: string): string {
  return keccak256(concat(['0x00', content]))
}

function split(size: number): number {
  return 2 ** Math.floor(Math.log2(size - 1))
}

function root(leaves: readonly string[]): string {
  if (leaves.length === 0) return keccak256('0x')
  if (leaves.length === 1) return leaves[0] ?? fail()
  const k = split(leaves.length)
  return keccak256(concat(['0x01', root(leaves.slice(0, k)), root(leaves.slice(k))]))
}

function path(m: number, leaves: readonly string[]): string[] {
  if (leaves.length <= 1) return []
  const k = split(leaves.length)
  return m < k
    ? path(m, leaves.slice(0, k)).concat(root(leaves.slice(k)))
    : path(m - k, leaves.slice(k)).concat(root(leaves.slice(0, k)))
}

function subproof(m: number, leaves: readonly string[], b: boolean): string[] {
  if (m === leaves.length) return b ? [] : [root(leaves)]
  const k = split(leaves.length)
  return m <= k
    ? subproof(m, leaves.slice(0, k), b).concat(root(leaves.slice(k)))
    : subproof(m - k, leaves.slice(k), false).concat(root(leaves.slice(0, k)))
}

const contents = Array.from({ length: 100 }, random32)
const leaves = contents.map(leafOf)
const trees = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100].map((size) => {
  const own = leaves.slice(0, size)
  const indexes = size < 10 ? own.map((_, i) => i) : [0, 1, 31, 63, 64, 95, 96, 98, 99]
  const firstSizes = size < 10 ? own.map((_, i) => i + 1) : [1, 2, 31, 32, 64, 65, 96, 97, 99, 100]
  return {
    size,
    root: root(own),
    inclusion: indexes.map((index) => ({ index, proof: path(index, own) })),
    consistency: firstSizes.map((firstSize) => ({ firstSize, proof: subproof(firstSize, own, true) })),
  }
})

// Shares of an order that is settled alone: what a settlement adds to the pool is divided, one after the other.

const RATES: readonly (readonly [number, number, number])[] = [
  [0, 0, 0],
  [1000, 2000, 2000],
  [1000, 0, 0],
  [0, 2000, 0],
  [0, 0, 2000],
  [1, 1, 1],
  [333, 777, 1999],
]
const TOTALS: readonly (readonly [bigint, bigint])[] = [
  [0n, 0n],
  [0n, 1n],
  [9n, 10n],
  [0n, 2n ** 96n - 1n],
  [2n ** 96n - 2n, 2n ** 96n - 1n],
  [10n ** 18n + 7n, 3n * 10n ** 18n + 1n],
]

const floorPart = (whole: bigint, part: number, parts: number): bigint =>
  parts === 0 ? 0n : (whole * BigInt(part)) / BigInt(parts)

const shares = RATES.flatMap(([networkBps, royaltyBps, facilitatorBps]) =>
  TOTALS.map(([before, cumulative]) => {
    const poolBps = networkBps + royaltyBps + facilitatorBps
    const pool = floorPart(cumulative, poolBps, 10_000) - floorPart(before, poolBps, 10_000)
    const network = floorPart(pool, networkBps, poolBps)
    const royalty = floorPart(pool - network, royaltyBps, royaltyBps + facilitatorBps)
    return {
      before: before.toString(),
      cumulative: cumulative.toString(),
      networkBps,
      royaltyBps,
      facilitatorBps,
      node: (cumulative - before - pool).toString(),
      facilitator: (pool - network - royalty).toString(),
      royalty: royalty.toString(),
      network: network.toString(),
    }
  }),
)

const models = ['', 'm', 'x'.repeat(32), 'meta-llama/Llama-3.1-8B-Instruct', 'modèle ünïcode 模型 🦙'].map(
  (name, i) => {
    const registrant = valueOf('address', STYLES[i] ?? 'random') as string
    return { registrant, name, modelId: keccak256(abi.encode(['address', 'string'], [registrant, name])) }
  },
)

const bodies = [
  { path: '/', body: '0x' },
  { path: '/v1/infer', body: '0x7b7d' },
  { path: '/v1/chat/completions', body: concat(Array.from({ length: 20 }, random32)) },
].map(({ path: url, body }) => ({
  path: url,
  body,
  requestHash: keccak256(concat([toUtf8Bytes(url), '0x0a', body])),
  responseHash: keccak256(body),
}))

// Slices: a tree of places, those without a slice zero, its leaves of 53 bytes and its inner nodes of 64.

function allocationOf(count: number) {
  const holders = Array.from({ length: count }, () => ({
    node: valueOf('address', 'random') as string,
    evidenceKey: valueOf('bytes32', 'random') as string,
  }))
  const leaves = holders.map(({ node, evidenceKey }) => keccak256(concat(['0x00', node, evidenceKey])))
  const depth = [0, 1, 2, 3, 4, 5, 6, 7, 8].find((exponent) => 2 ** exponent >= count) ?? fail()
  const zero = `0x${'00'.repeat(32)}`
  const nodeAt = (level: number, place: number): string =>
    level === 0
      ? (leaves[place] ?? zero)
      : keccak256(concat([nodeAt(level - 1, 2 * place), nodeAt(level - 1, 2 * place + 1)]))
  /** Whether a node is above one of the indexes. */
  const isKnown = (level: number, place: number, indexes: readonly number[]): boolean =>
    indexes.some((index) => Math.floor(index / 2 ** level) === place)
  const proofOf = (indexes: readonly number[]): string[] =>
    Array.from({ length: depth }, (_, level) => level).flatMap((level) =>
      Array.from({ length: 2 ** (depth - level) }, (_, place) => place)
        .filter((place) => !isKnown(level, place, indexes) && isKnown(level, place ^ 1, indexes))
        .map((place) => nodeAt(level, place)),
    )
  const chosen = [[0], [count - 1], [...holders.keys()], [...holders.keys()].filter((i) => i % 3 === 0)]
  const allocationId = random32()
  return {
    holders,
    leaves,
    root: nodeAt(depth, 0),
    proofs: chosen.map((indexes) => ({ indexes, proof: proofOf(indexes) })),
    allocationId,
    sliceIds: holders.map((_, index) => keccak256(abi.encode(['bytes32', 'uint256'], [allocationId, index]))),
  }
}

const allocations = [1, 2, 3, 5, 8, 50, 255].map(allocationOf)

// Stock x402 payments: the offer, its desk, what the payer signs, and the order that it opens.

const OFFER: Fields = { Offer: fields('Terms terms,uint32 claimWindow'), Terms: TERMS }
const UPTO_PROXY = '0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002'
const UPTO_TYPES: Fields = {
  PermitWitnessTransferFrom: fields(
    'TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Witness witness',
  ),
  TokenPermissions: fields('address token,uint256 amount'),
  Witness: fields('address to,address facilitator,uint256 validAfter'),
}
/** The first well-known development key. */
const PAYER = new Wallet('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80')
const LOCAL_CHAIN_ID = '31337'
const YEAR_2100 = 4_102_444_800

const deskArtifact = JSON.parse(
  readFileSync(new URL('../../../artifacts/contracts/adapters/UptoDesk.sol/UptoDesk.json', import.meta.url), 'utf8'),
) as { readonly bytecode: string }
const deskInitCodeHash = keccak256(deskArtifact.bytecode)

const offers = STYLES.map((style) => {
  const terms = valueOf('Terms', style) as Value
  const offer = { terms, claimWindow: valueOf('uint32', style) as number }
  const adapter = valueOf('address', style) as string
  const offerHash = TypedDataEncoder.hashStruct('Offer', OFFER, offer)
  return { adapter, offer, offerHash, desk: getCreate2Address(adapter, offerHash, deskInitCodeHash) }
})

/** Payments that the chain takes: by a key, on a local chain, in time. */
const uptoPayments = offers.slice(2).map(({ adapter, offer, offerHash, desk }) => {
  const escrow = valueOf('address', 'random') as string
  const witness = { to: escrow, facilitator: desk, validAfter: uint(24, 'random').toString() }
  const message = {
    permitted: { token: valueOf('address', 'random') as string, amount: valueOf('uint96', 'random') as string },
    spender: UPTO_PROXY,
    nonce: valueOf('uint256', 'random') as string,
    deadline: (BigInt(YEAR_2100) + uint(24, 'random')).toString(),
    witness,
  }
  const digest = TypedDataEncoder.hash(
    { name: 'Permit2', chainId: BigInt(LOCAL_CHAIN_ID), verifyingContract: PERMIT2 },
    UPTO_TYPES,
    message,
  )
  const signature = PAYER.signingKey.sign(digest).serialized
  const order = {
    payer: PAYER.address,
    nonce: message.nonce,
    amount: message.permitted.amount,
    job: { requester: PAYER.address, requestHash: `0x${'00'.repeat(32)}` },
    claimBy: Number(message.deadline) + offer.claimWindow,
  }
  const workOrder = { terms: offer.terms, job: order.job, claimBy: order.claimBy }
  const workOrderHash = TypedDataEncoder.hashStruct('WorkOrder', TYPES.WorkOrder ?? fail(), workOrder)
  return {
    chainId: LOCAL_CHAIN_ID,
    escrow,
    adapter,
    offer,
    offerHash,
    // As a stock client sends it.
    payload: { signature, permit2Authorization: { from: PAYER.address, ...message } },
    digest,
    data: abi.encode(['uint32', 'uint256', 'bytes'], [offer.claimWindow, witness.validAfter, signature]),
    order,
    orderId: keccak256(
      abi.encode(
        ['bytes32', 'address', 'uint256', 'uint96', 'bytes32'],
        [seedOf(LOCAL_CHAIN_ID, escrow), order.payer, order.nonce, order.amount, workOrderHash],
      ),
    ),
  }
})

function fail(): never {
  throw new TypeError('a vector refers to one that is not there')
}

const vectors = {
  typeHashes: Object.fromEntries(
    Object.entries(TYPES).map(([type, types]) => [type, id(TypedDataEncoder.from(types).encodeType(type))]),
  ),
  permitTypeHash: id(TypedDataEncoder.from(PERMIT_TYPES).encodeType('PermitWitnessTransferFrom')),
  witnessTypeString: TypedDataEncoder.from(PERMIT_TYPES)
    .encodeType('PermitWitnessTransferFrom')
    .replace(/^.*,(?=WorkOrder witness\))/, ''),
  domains,
  structs,
  orders,
  digests,
  receipts,
  contents: bodies,
  models,
  shares,
  tree: { contents, leaves, trees },
  allocations,
  deskInitCodeHash,
  offers,
  uptoPayments,
}

writeFileSync(new URL('../vectors/protocol.json', import.meta.url), `${JSON.stringify(vectors, undefined, 1)}\n`)
