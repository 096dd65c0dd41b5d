import { TeeReceiptVerifier__factory, deployments, isCodeOf } from '@opg/bindings'
import { type EscrowInfo, type Evidence, fetchTeeKey, keyEvidence, readEscrow, teeEvidence } from '@opg/payer'
import { type Address, type Terms, ZERO_ADDRESS, parseAddress } from '@opg/protocol'
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
  /** The `UptoAdapter` that stock payments go through, where one is known. */
  readonly uptoAdapter: Address | undefined
  /** @throws {OfferRefusedError} if the verifier is none that this release knows */
  judge(terms: Terms): Promise<Judge>
}

/**
 * Reads the chain and checks that its escrow is what it should be.
 *
 * @param options `escrow`: the recorded deployment's if absent
 * @throws {OfferRefusedError} if no escrow is known there, or it has other code
 * @throws {ContractNotFoundError} {@link ChainUnavailableError}
 */
export async function openMarket(
  provider: Provider,
  options: { readonly escrow?: Address | undefined; readonly uptoAdapter?: Address | undefined } = {},
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
  const judges = new Map<string, Promise<Judge>>()
  return {
    provider,
    escrow,
    network: `eip155:${escrow.chainId.toString()}`,
    blockNumber,
    uptoAdapter: options.uptoAdapter,
    judge: (terms) => {
      const key = `${terms.verifier} ${terms.evidenceKey} ${terms.node}`
      const known = judges.get(key)
      if (known !== undefined) return known
      const asked = judgeOf({ provider, escrow, terms })
      judges.set(key, asked)
      asked.catch(() => judges.delete(key)) // the chain may answer next time
      return asked
    },
  }
}

/** Code that stands at a verifier's address stays, so what it counts as evidence is known for good. */
async function judgeOf(input: {
  readonly provider: Provider
  readonly escrow: EscrowInfo
  readonly terms: Terms
}): Promise<Judge> {
  const { provider, escrow, terms } = input
  if (terms.node === ZERO_ADDRESS) {
    throw new OfferRefusedError({ field: 'extra.terms.node', expected: 'a node', found: 'none: the order is routed' })
  }
  if (terms.verifier === escrow.escrow) return { evidence: keyEvidence(terms), vouchers: false }
  const code = await provider.getCode(terms.verifier)
  if (isCodeOf('KeyReceiptVerifier', code)) return { evidence: keyEvidence(terms), vouchers: false }
  if (isCodeOf('VoucherReceiptVerifier', code)) return { evidence: keyEvidence(terms), vouchers: true }
  if (isCodeOf('TeeReceiptVerifier', code)) {
    const registry = parseAddress(await TeeReceiptVerifier__factory.connect(terms.verifier, provider).REGISTRY())
    const key = await fetchTeeKey(provider, { registry, teeId: terms.evidenceKey })
    return { evidence: teeEvidence(terms, [key]), vouchers: false }
  }
  throw new OfferRefusedError({
    field: 'extra.terms.verifier',
    expected: 'a KeyReceiptVerifier, VoucherReceiptVerifier or TeeReceiptVerifier of this release',
    found: `other code at ${terms.verifier}`,
  })
}
