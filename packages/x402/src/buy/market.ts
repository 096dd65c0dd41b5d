import { TeeReceiptVerifier__factory, UptoAdapter__factory, deployments, isCodeOf } from '@opg/bindings'
import {
  type EscrowInfo,
  type Evidence,
  type TeeKey,
  TeeKeyError,
  fetchTeeKey,
  keyEvidence,
  namesOwner,
  ownedTeeEvidence,
  quorumEvidence,
  readEscrow,
  teeEvidence,
} from '@opg/payer'
import {
  type Address,
  type Hex,
  InvalidInputError,
  type Quorum,
  type Terms,
  ZERO_ADDRESS,
  parseAddress,
  parseBytes32,
} from '@opg/protocol'
import type { Provider } from 'ethers'
import { OfferRefusedError } from './errors.js'

/** How receipts under some terms are judged. */
export interface Judge {
  readonly evidence: Evidence
  /** Whether requests bring vouchers. */
  readonly vouchers: boolean
}

/** The chain on which is paid, and the contracts on it that are trusted. */
export interface Market {
  readonly provider: Provider
  readonly escrow: EscrowInfo
  /** `eip155:<chain id>` */
  readonly network: string
  /** The block when it was read: no order that is made here can have been settled before. */
  readonly blockNumber: number
  /**
   * keccak256 of the creation code of an adapter's desks.
   *
   * @throws {OfferRefusedError} if it is no `UptoAdapter` of this escrow
   */
  desksOf(adapter: Address): Promise<Hex>
  /** @throws {OfferRefusedError} if the verifier, or its key, is none whose evidence can be checked here */
  judge(terms: Terms): Promise<Judge>
}

/**
 * Reads the chain and checks that its escrow is what it should be.
 *
 * @param options `escrow`: the recorded deployment's if absent; `quorums`: those that are trusted
 * @throws {OfferRefusedError} if no escrow is known there, or it has other code
 * @throws {ContractNotFoundError} {@link ChainUnavailableError}
 */
export async function openMarket(
  provider: Provider,
  options: { readonly escrow?: Address | undefined; readonly quorums?: readonly Quorum[] } = {},
): Promise<Market> {
  const chainId = Number((await provider.getNetwork()).chainId)
  const address = options.escrow ?? deployments[chainId]?.escrow
  if (address === undefined) {
    throw new OfferRefusedError({
      field: 'network',
      expected: 'a chain with a recorded deployment, or the option escrow',
      found: `chain ${String(chainId)} without one`,
    })
  }
  const escrow = await readEscrow(provider, address)
  const [code, blockNumber] = await Promise.all([provider.getCode(escrow.escrow), provider.getBlockNumber()])
  if (!isCodeOf('InferenceEscrow', code)) {
    throw new OfferRefusedError({ field: 'payTo', expected: 'an InferenceEscrow', found: `other code at ${address}` })
  }
  return {
    provider,
    escrow,
    network: `eip155:${escrow.chainId.toString()}`,
    blockNumber,
    judge: keeping(
      (terms: Terms) => `${terms.verifier} ${terms.evidenceKey} ${terms.node}`,
      (terms) => judgeOf({ provider, escrow, terms, quorums: options.quorums ?? [] }),
    ),
    desksOf: keeping(
      (adapter: Address) => adapter,
      (adapter) => desksOf({ provider, escrow, adapter }),
    ),
  }
}

interface JudgeInput {
  readonly provider: Provider
  readonly escrow: EscrowInfo
  readonly terms: Terms
  readonly quorums: readonly Quorum[]
}

/** Asks once for each key; what failed is asked again. */
function keeping<I, O>(keyOf: (input: I) => string, ask: (input: I) => Promise<O>): (input: I) => Promise<O> {
  const kept = new Map<string, Promise<O>>()
  return (input) => {
    const key = keyOf(input)
    const known = kept.get(key)
    if (known !== undefined) return known
    const asked = ask(input)
    kept.set(key, asked)
    asked.catch(() => kept.delete(key))
    return asked
  }
}

async function desksOf(input: {
  readonly provider: Provider
  readonly escrow: EscrowInfo
  readonly adapter: Address
}): Promise<Hex> {
  const { provider, escrow, adapter } = input
  const refuse = (found: string): OfferRefusedError =>
    new OfferRefusedError({ field: 'extra.adapter', expected: `an UptoAdapter of ${escrow.escrow}`, found })
  const code = await provider.getCode(adapter)
  if (!isCodeOf('UptoAdapter', code)) throw refuse(`other code at ${adapter}`)
  const contract = UptoAdapter__factory.connect(adapter, provider)
  const [opens, hash] = await Promise.all([contract.ESCROW(), contract.DESK_INIT_CODE_HASH()])
  if (parseAddress(opens) !== escrow.escrow) throw refuse(`one of ${opens}`)
  return parseBytes32(hash)
}

/** Code that stands at a verifier's address stays, so what it counts as evidence is known for good. */
async function judgeOf(input: JudgeInput): Promise<Judge> {
  const { terms } = input
  if (terms.node === ZERO_ADDRESS) {
    throw new OfferRefusedError({ field: 'extra.terms.node', expected: 'a node', found: 'none: the order is routed' })
  }
  try {
    return await readJudge(input)
  } catch (cause) {
    // What the seller's terms say, and no option of the payer's.
    if (!(cause instanceof InvalidInputError || cause instanceof TeeKeyError)) throw cause
    const { expected, found } = cause
    throw new OfferRefusedError({ field: 'extra.terms.evidenceKey', expected, found, cause })
  }
}

async function readJudge({ provider, escrow, terms, quorums }: JudgeInput): Promise<Judge> {
  const code = await provider.getCode(terms.verifier)
  if (terms.verifier === escrow.escrow || isCodeOf('KeyReceiptVerifier', code)) {
    return { evidence: keyEvidence(terms), vouchers: false }
  }
  if (isCodeOf('VoucherReceiptVerifier', code)) return { evidence: keyEvidence(terms), vouchers: true }
  // A quorum that the seller chose could be the seller.
  if (isCodeOf('QuorumReceiptVerifier', code)) return { evidence: quorumEvidence(terms, quorums), vouchers: false }
  if (isCodeOf('TeeReceiptVerifier', code)) {
    const registry = parseAddress(await TeeReceiptVerifier__factory.connect(terms.verifier, provider).REGISTRY())
    const fetchKey = (teeId: Hex): Promise<TeeKey> => fetchTeeKey(provider, { registry, teeId })
    const evidence = namesOwner(terms)
      ? ownedTeeEvidence(terms, { fetchKey })
      : teeEvidence(terms, [await fetchKey(terms.evidenceKey)])
    return { evidence, vouchers: false }
  }
  throw new OfferRefusedError({
    field: 'extra.terms.verifier',
    expected: 'a Key-, Voucher-, Quorum- or TeeReceiptVerifier of this release',
    found: isCodeOf('GatewayReceiptVerifier', code)
      ? 'a GatewayReceiptVerifier: it pays for one request that the order pins (createGatewayOrder and askGateway of @opg/payer)'
      : `other code at ${terms.verifier}`,
  })
}
