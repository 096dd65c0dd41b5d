import { UptoAdapter__factory, type Deployment } from '@opg/bindings'
import { ChainUnavailableError, readApprovalDomain } from '@opg/node'
import {
  MAX_CLAIM_WINDOW_SECONDS,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  deskAddress,
  parseOffer,
  toWire,
  type Address,
  type Hex,
  type Offer,
  type Terms,
} from '@opg/protocol'
import type { JsonRpcProvider } from 'ethers'
import { SellerSettingError } from './errors.js'
import type { Offered } from './offered.js'
import type { SellersVerifier } from './sellersVerifier.js'

const DEFAULT_CLAIM_WINDOW_SECONDS = 3_600

/** What a seller offers, with its settings checked. @throws {SellerSettingError} */
export function offerOf(
  node: Address,
  options: {
    readonly deployment: Deployment
    readonly verifier: SellersVerifier | undefined
    readonly terms?: Partial<Terms>
    readonly claimWindow?: number
  },
): Offer {
  const { deployment, verifier, claimWindow = DEFAULT_CLAIM_WINDOW_SECONDS } = options
  check('claimWindow', {
    isRight: claimWindow >= 120 && claimWindow < MAX_CLAIM_WINDOW_SECONDS,
    expected: `from 120 seconds to below ${String(MAX_CLAIM_WINDOW_SECONDS)}`,
    found: String(claimWindow),
  })
  const own: readonly Hex[] = [ZERO_BYTES32, `0x${node.slice(2).toLowerCase().padStart(64, '0')}`]
  const { address, evidenceKeys } = verifier ?? { address: deployment.keyReceiptVerifier, evidenceKeys: own }
  const terms: Terms = {
    node,
    facilitator: ZERO_ADDRESS,
    facilitatorBps: 0,
    verifier: address,
    evidenceKey: evidenceKeys[0] ?? ZERO_BYTES32,
    modelId: ZERO_BYTES32,
    ...options.terms,
  }
  const offer = parseOffer(toWire({ terms, claimWindow }))
  check('terms.node', { isRight: offer.terms.node === node, expected: `the signer, ${node}`, found: offer.terms.node })
  check('terms.verifier', {
    isRight: offer.terms.verifier === address,
    expected: `${address}, which option verifier names, or the KeyReceiptVerifier without it`,
    found: offer.terms.verifier,
  })
  check('terms.evidenceKey', {
    isRight: evidenceKeys.includes(offer.terms.evidenceKey),
    expected: `one that this seller can speak for: ${evidenceKeys.join(' or ')}`,
    found: offer.terms.evidenceKey,
  })
  return offer
}

/** What requirements say beside the offer. @throws {SellerSettingError} {@link ChainUnavailableError} */
export async function extraOf(
  offer: Offer,
  { provider, deployment }: { readonly provider: JsonRpcProvider; readonly deployment: Deployment },
): Promise<Offered['extra']> {
  const { uptoAdapter: adapter } = deployment
  if (adapter === null) {
    throw new SellerSettingError('deployment.uptoAdapter', {
      expected: 'the address of an UptoAdapter',
      found: 'null: there is no x402 upto proxy on this chain. Sell by the scheme work-order instead',
    })
  }
  const { token, chainId } = deployment
  const [initCodeHash, domain] = await Promise.all([
    asked('the adapter', () => UptoAdapter__factory.connect(adapter, provider).DESK_INIT_CODE_HASH()),
    readApprovalDomain(provider, { token, chainId: BigInt(chainId) }),
  ])
  return {
    ...domain,
    assetTransferMethod: 'permit2',
    paymentFlow: 'escrow',
    facilitatorAddress: deskAddress({ adapter, initCodeHash: initCodeHash as Hex, offer }),
    adapter,
    offer,
  }
}

/** @throws {ChainUnavailableError} */
export async function asked<T>(operation: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw new ChainUnavailableError(operation, { cause: error })
  }
}

/** @throws {SellerSettingError} */
export function check(
  setting: string,
  { isRight, expected, found }: { readonly isRight: boolean; readonly expected: string; readonly found: string },
): void {
  if (!isRight) throw new SellerSettingError(setting, { expected, found })
}
