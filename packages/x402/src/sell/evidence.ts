import type { AcceptedVerifier } from '@opg/node'
import {
  type CaptureStep,
  type Hex,
  type InferenceReceipt,
  type Settlement,
  type SignedReceipt,
  receiptDigest,
  structDigest,
} from '@opg/protocol'
import { SaleRefusedError } from './errors.js'
import type { SignStruct } from './nodeKey.js'
import type { Offered } from './offered.js'

/** Signs receipts, and makes what convinces the verifier that the offer names. */
export interface EvidenceMaker {
  signReceipt(receipt: InferenceReceipt): Promise<SignedReceipt>
  /**
   * The step that closes an order.
   *
   * @param lastReceipt undefined where nothing was answered
   * @throws {SaleRefusedError} if others who must sign do not
   */
  capture(settlement: Settlement, lastReceipt: SignedReceipt | undefined): Promise<CaptureStep>
}

/** For the KeyReceiptVerifier: the node's word, by a key that may be elsewhere. */
export function wordOfNode({ offer }: Offered, sign: SignStruct): EvidenceMaker {
  const { node, evidenceKey } = offer.terms
  return {
    signReceipt: async (receipt) => {
      return { receipt, signature: await sign('InferenceReceipt', receipt), signer: { kind: 'ecdsa' } }
    },
    capture: async (settlement) => {
      const evidence = await sign('SettlementBatch', { node, evidenceKey, settlements: [settlement] })
      return { phase: 'capture', settlement, evidence }
    },
  }
}

/** For any verifier that a node can convince: what signs for it is in this process. */
export function evidenceFor(
  { chainId, escrow, separator, offer }: Offered,
  verifier: AcceptedVerifier & { readonly signer: NonNullable<AcceptedVerifier['signer']> },
): EvidenceMaker {
  const { terms } = offer
  const { node, evidenceKey } = terms
  const { signer } = verifier
  return {
    signReceipt: (receipt) => {
      const signature = signer.signDigest(receiptDigest(separator, receipt))
      return Promise.resolve({ receipt, signature, signer: signer.signer })
    },
    capture: async (settlement, lastReceipt) => {
      const settlements = [settlement]
      const digest = structDigest(separator, { name: 'SettlementBatch', value: { node, evidenceKey, settlements } })
      const proofs = [{ order: { voucher: undefined }, lastReceipt, lastAnswer: () => Promise.resolve(undefined) }]
      const batch = { chainId, escrow, terms, node, evidenceKey, settlements, proofs, digest }
      const evidence: Hex | undefined = await verifier.prove(batch)
      if (evidence !== undefined) return { phase: 'capture', settlement, evidence }
      throw new SaleRefusedError('evidence_missing', 'Those who must sign for the seller did not. Nothing is charged.')
    },
  }
}
