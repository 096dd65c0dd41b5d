import type { Deployment } from '@opg/bindings'
import { acceptVerifier, type AcceptedVerifier, type Logger, type VerifierOptions } from '@opg/node'
import type { Address } from '@opg/protocol'
import type { JsonRpcProvider } from 'ethers'
import { SellerSettingError } from './errors.js'

/** A verifier, and what convinces it. */
export type SellersVerifier = AcceptedVerifier & { readonly signer: NonNullable<AcceptedVerifier['signer']> }

/**
 * Checks what stands at the verifier's address, and that orders of stock clients can be settled there.
 *
 * @throws {SellerSettingError} {@link KeyUnusableError} {@link WrongChainError} {@link ChainUnavailableError}
 */
export async function sellersVerifier(
  verifier: VerifierOptions | undefined,
  parts: {
    readonly provider: JsonRpcProvider
    readonly deployment: Deployment
    readonly node: Address
    readonly logger: Logger
  },
): Promise<SellersVerifier | undefined> {
  if (verifier === undefined) return undefined
  const { provider, deployment, node, logger } = parts
  if (verifier.kind === 'voucher') {
    throw refused(
      verifier,
      'its evidence holds a voucher that the payer signs for what was used, and stock upto clients sign nothing after the payment. Sell sessions by workOrderServer instead',
    )
  }
  if (verifier.kind === 'gateway') {
    throw refused(verifier, 'it takes orders that pin one request, and stock upto clients pin none. A node sells them')
  }
  const accepted = await acceptVerifier({ provider, node, escrow: deployment.escrow, verifier, logger })
  const { signer } = accepted
  if (signer === undefined) throw refused(verifier, 'without its key no receipt can be signed')
  return { ...accepted, signer }
}

function refused({ kind }: VerifierOptions, why: string): SellerSettingError {
  return new SellerSettingError('verifier.kind', { expected: 'key, tee or quorum', found: `${kind}: ${why}` })
}
