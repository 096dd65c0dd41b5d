import { WrongChainError, type Secret, type CliEdge } from '@opg/operator'
import type { Deployment } from '@opg/bindings'
import type { Address } from '@opg/protocol'
import { createPublicKey } from 'node:crypto'
import type { Settings } from '../config/settings.js'
import type { VerifierInfo } from '../http/info.js'
import { ecdsaSigner } from '../receipts/ecdsaSigner.js'
import { quorumKeyOf } from '../receipts/quorumVerifier.js'
import { rsaPssSigner } from '../receipts/rsaPssSigner.js'
import type { VerifierOptions } from '../service/acceptVerifier.js'

/**
 * The verifiers that the node's keys and settings are good for. Those of a living enclave come before those of lost
 * ones: where both may speak for an order, the living one does.
 */
export function verifiersOf(input: {
  readonly deployment: Deployment
  readonly settings: Settings
  readonly nodeKey: Secret
  readonly teeKey: Secret | undefined
  readonly edge: Pick<CliEdge, 'fetch'>
}): readonly VerifierOptions[] {
  const { deployment, settings, nodeKey, teeKey, edge } = input
  const signer = ecdsaSigner(nodeKey.reveal())
  const teeAddress = (): Address => {
    if (deployment.teeReceiptVerifier !== null) return deployment.teeReceiptVerifier
    const expected = 'deployed, as there is an enclave'
    throw new WrongChainError('The TeeReceiptVerifier', { expected, found: 'none' })
  }
  const gatewayAddress = (): Address => {
    if (deployment.gatewayReceiptVerifier !== null) return deployment.gatewayReceiptVerifier
    const expected = 'deployed, as a model names gatewayTeeIds'
    throw new WrongChainError('The GatewayReceiptVerifier', { expected, found: 'none' })
  }
  const teeIds = settings.models.flatMap((model) => (model.kind === 'openai' ? (model.gatewayTeeIds ?? []) : []))
  const gateways = [...new Set(teeIds)].map((teeId): VerifierOptions => ({
    kind: 'gateway',
    address: gatewayAddress(),
    teeId,
    signer,
  }))
  const living: readonly VerifierOptions[] =
    teeKey === undefined ? [] : [{ kind: 'tee', address: teeAddress(), signer: rsaPssSigner(teeKey.reveal()) }]
  const lost = settings.lostTeeIds.map((teeId): VerifierOptions => ({ kind: 'lost-tee', address: teeAddress(), teeId }))
  const quorums = settings.quorums.map(({ k, validators }): VerifierOptions => {
    const quorum = { k, validators, timeoutMs: settings.quorumTimeoutSeconds * 1000, fetch: edge.fetch }
    return { kind: 'quorum', address: deployment.quorumReceiptVerifier, signer, quorum }
  })
  return [
    ...living,
    ...lost,
    { kind: 'key', address: deployment.keyReceiptVerifier, signer },
    { kind: 'voucher', address: deployment.voucherReceiptVerifier, signer },
    ...quorums,
    ...gateways,
  ]
}

/** What a node tells of a verifier; nothing of one that it takes no orders for. */
export function verifierInfo(
  verifier: VerifierOptions,
  { node, teeKey }: { readonly node: Address; readonly teeKey: Secret | undefined },
): VerifierInfo | undefined {
  if (verifier.kind === 'lost-tee') return undefined
  const { kind, address, signer } = verifier
  const byNode = { kind: 'ecdsa', address: node } as const
  if (kind === 'quorum') {
    const { k } = verifier.quorum
    const validators = [...verifier.quorum.validators].sort((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1))
    return {
      kind,
      address,
      evidenceKeys: [quorumKeyOf({ k, validators })],
      receiptKey: byNode,
      quorum: { k, validators: validators.map((validator) => validator.address) },
    }
  }
  if (kind === 'gateway') return { kind, address, evidenceKeys: [verifier.teeId], receiptKey: byNode }
  const evidenceKeys = [signer.evidenceKey]
  if (signer.signer.kind === 'ecdsa' || teeKey === undefined) return { kind, address, evidenceKeys, receiptKey: byNode }
  const publicKey = createPublicKey(teeKey.reveal()).export({ type: 'spki', format: 'der' }).toString('base64')
  return { kind, address, evidenceKeys, receiptKey: { kind: 'rsa-pss', teeId: signer.signer.teeId, publicKey } }
}
