import { KeyUnusableError, WrongChainError, type Logger } from '@opg/operator'
import type { ContractName } from '@opg/bindings'
import type { Address, Hex } from '@opg/protocol'
import type { JsonRpcProvider } from 'ethers'
import { enabledTeeKey, knownCodeHash, teeStanding } from '../chain/verifierCode.js'
import type { AcceptedVerifier } from '../receipts/acceptedVerifier.js'
import type { EvidenceSigner } from '../receipts/evidenceSigner.js'
import { gatewayKey } from '../receipts/gatewayKey.js'
import { acceptGatewayVerifier } from '../receipts/gatewayVerifier.js'
import { acceptKeyVerifier, requireEcdsa } from '../receipts/keyVerifier.js'
import { acceptLostTee } from '../receipts/lostTeeVerifier.js'
import { type Quorum, acceptQuorumVerifier } from '../receipts/quorumVerifier.js'
import { acceptTeeVerifier } from '../receipts/teeVerifier.js'
import { acceptVoucherVerifier } from '../receipts/voucherVerifier.js'

/** Whose judgement is accepted, and with which key it is convinced. `kind` says which contract stands there. */
export type VerifierOptions = {
  readonly address: Address
  /** keccak256 of its code; where left out, it must be the code that this release knows. */
  readonly codeHash?: Hex
} & (
  | {
      /** `KeyReceiptVerifier` and `VoucherReceiptVerifier` take an ECDSA signer, `TeeReceiptVerifier` an enclave's. */
      readonly kind: 'key' | 'voucher' | 'tee'
      readonly signer: EvidenceSigner
    }
  /** `QuorumReceiptVerifier`: an ECDSA signer for receipts, and who signs settlements. */
  | { readonly kind: 'quorum'; readonly signer: EvidenceSigner; readonly quorum: Quorum }
  /** `GatewayReceiptVerifier`: the gateway that an upstream is, and an ECDSA signer for receipts. */
  | { readonly kind: 'gateway'; readonly signer: EvidenceSigner; readonly teeId: Hex }
  /** `TeeReceiptVerifier` for an enclave whose key is gone: what it signed is settled, nothing new is admitted. */
  | { readonly kind: 'lost-tee'; readonly teeId: Hex }
)

/**
 * Checks what stands at a verifier's address, and what the node's key counts there.
 *
 * @throws {KeyUnusableError} if the key does not fit the kind
 * @throws {WrongChainError} if other code stands there, or the enclave is not enabled
 * @throws {ChainUnavailableError}
 */
export async function acceptVerifier(input: {
  readonly provider: JsonRpcProvider
  readonly node: Address
  readonly escrow: Address
  readonly verifier: VerifierOptions
  readonly logger: Logger
}): Promise<AcceptedVerifier> {
  const { provider, node, escrow, verifier, logger } = input
  const { address } = verifier
  const contract = contractOf(verifier, escrow)
  const codeHash = verifier.codeHash ?? (await knownCodeHash(provider, { contract, address }))
  const base = { address, codeHash, node }
  switch (verifier.kind) {
    case 'key':
      return acceptKeyVerifier({ ...base, signer: verifier.signer })
    case 'voucher':
      return acceptVoucherVerifier({ ...base, signer: verifier.signer })
    case 'quorum':
      return acceptQuorumVerifier({ ...base, signer: verifier.signer, quorum: verifier.quorum, logger })
    case 'tee': {
      const { signer } = verifier
      if (signer.signer.kind !== 'rsa-pss') {
        throw new KeyUnusableError('The evidence key of a TeeReceiptVerifier', 'an RSA key')
      }
      const { teeId } = signer.signer
      const { isEnabled, owner } = await teeStanding(provider, { verifier: address, teeId })
      if (!isEnabled) {
        throw new WrongChainError(`Enclave ${teeId}`, { expected: 'enabled in the TEE registry', found: 'not enabled' })
      }
      return acceptTeeVerifier({ ...base, signer, ownsTee: owner === node })
    }
    case 'gateway': {
      const { teeId, signer } = verifier
      requireEcdsa(signer, 'GatewayReceiptVerifier')
      const subject = { verifier: address, teeId }
      const der = await enabledTeeKey(provider, subject)
      if (der === undefined) logger.warn({ teeId }, 'the gateway is not enabled, so no orders are taken for it')
      const isEnabled = async (): Promise<boolean> => (await teeStanding(provider, subject)).isEnabled
      const live = der === undefined ? undefined : { signer, key: gatewayKey({ teeId, der, isEnabled }) }
      return acceptGatewayVerifier({ address, codeHash, teeId, live })
    }
    case 'lost-tee': {
      const { teeId } = verifier
      const { isEnabled, owner } = await teeStanding(provider, { verifier: address, teeId })
      // No reason not to start: it may be enabled again before the orders expire.
      if (!isEnabled) logger.warn({ teeId }, 'the lost enclave is not enabled, so what it signed cannot be settled now')
      return acceptLostTee({ ...base, teeId, ownsTee: owner === node })
    }
  }
}

function contractOf({ kind, address }: VerifierOptions, escrow: Address): ContractName {
  switch (kind) {
    case 'key':
      return address === escrow ? 'InferenceEscrow' : 'KeyReceiptVerifier' // the escrow is one itself
    case 'voucher':
      return 'VoucherReceiptVerifier'
    case 'quorum':
      return 'QuorumReceiptVerifier'
    case 'gateway':
      return 'GatewayReceiptVerifier'
    case 'tee':
    case 'lost-tee':
      return 'TeeReceiptVerifier'
  }
}
