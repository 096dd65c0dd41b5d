import { type Address, type Hex, gatewayOutputHash } from '@opg/protocol'
import { concat, toBeHex } from 'ethers'
import type { StoredAnswer } from '../store/types.js'
import type { AcceptedVerifier } from './acceptedVerifier.js'
import type { EvidenceSigner } from './evidenceSigner.js'
import { type GatewayKey, readGatewayAnswer } from './gatewayKey.js'

/**
 * `GatewayReceiptVerifier`: the evidence is what the gateway signed, and stands in the answers that are stored. The
 * node's own key signs receipts, which are for the payer and prove nothing on chain.
 *
 * @param input.live undefined where the gateway is not enabled: what it signed is settled, nothing new is admitted
 */
export function acceptGatewayVerifier(input: {
  readonly address: Address
  readonly codeHash: Hex
  readonly teeId: Hex
  readonly live: { readonly key: GatewayKey; readonly signer: EvidenceSigner } | undefined
}): AcceptedVerifier {
  const { address, codeHash, teeId, live } = input
  return {
    address,
    codeHash,
    evidenceKeys: [teeId],
    signer: live?.signer,
    takesVouchers: false,
    ...(live === undefined ? {} : { gateway: live.key }),
    provesEach: true,
    isRemote: false,
    // One receipt, all of the amount, and closed by it. Without a receipt nothing can be proved, not even nothing.
    provable: (planned, { order }) =>
      planned.close && planned.receiptCount === 1n && planned.cumulativeFee === order.order.amount
        ? planned
        : undefined,
    prove: async ({ proofs }) => {
      const receipts = await Promise.all(proofs.map(async ({ lastAnswer }) => encodeReceipt(await lastAnswer())))
      return receipts.every((receipt) => receipt !== undefined) ? (concat(receipts) as Hex) : undefined
    },
  }
}

/** `abi.encodePacked(bytes32 outputHash, uint40 timestamp, bytes signature)`. */
function encodeReceipt(stored: StoredAnswer | undefined): string | undefined {
  const answer = stored === undefined ? undefined : readGatewayAnswer(stored.body)
  if (answer === undefined || answer instanceof Error) return undefined
  const { text, timestamp, signature } = answer
  return concat([gatewayOutputHash(text), toBeHex(timestamp, 5), Buffer.from(signature, 'base64')])
}
