import {
  type Address,
  type CloseRequest,
  type Hex,
  MAX_SIGNATURE_BYTES,
  parseBytes,
  parseCloseRequest,
  parseObject,
  recoverSigner,
  structDigest,
} from '@opg/protocol'
import type { CloseAnswer } from '../service/types.js'
import { type GateDependencies, answering } from './orderGate.js'
import { refuse } from './refusal.js'

const readInput = parseObject<{ readonly closeRequest: CloseRequest; readonly signature: Hex }>({
  closeRequest: parseCloseRequest,
  signature: parseBytes({ min: 64, max: MAX_SIGNATURE_BYTES }),
})

/** Takes the payer's wish, or of a slice also the facilitator's, to have the rest back: admission ends at once, the settler closes when nothing runs. */
export function createCloseRequests(
  dependencies: Pick<GateDependencies, 'store' | 'chain' | 'clock' | 'logger'>,
): (input: unknown) => Promise<CloseAnswer> {
  const { store, chain, clock, logger } = dependencies

  async function isSignedByOneOf(
    askers: readonly Address[],
    claim: { readonly digest: Hex; readonly signature: Hex },
  ): Promise<boolean> {
    const signer = recoverSigner(claim.digest, claim.signature)
    if (signer !== undefined && askers.includes(signer)) return true
    for (const asker of askers) {
      if ((await chain.codeHash(asker)) !== undefined && (await chain.isValidSignature(asker, claim))) return true
    }
    return false
  }

  return (input) =>
    answering('closing an order', logger, async (): Promise<CloseAnswer> => {
      const { closeRequest, signature } = readInput(input, '')
      const { orderId, expiresAt } = closeRequest
      const order = await store.order(orderId)
      if (order === undefined) return refuse('order-unknown', `Order ${orderId} is not known here.`)

      // A slice serves the facilitator's customers, who may leave it unused.
      const askers = order.slice === undefined ? [order.order.payer] : [order.order.payer, order.terms.facilitator]
      const digest = structDigest(chain.separator, { name: 'CloseRequest', value: closeRequest })
      if (!(await isSignedByOneOf(askers, { digest, signature }))) {
        return refuse('signature-invalid', `The close request must be signed by ${askers.join(' or ')}.`)
      }
      if (expiresAt <= Math.floor(clock() / 1000)) {
        return refuse('request-expired', `The close request was good until ${String(expiresAt)}. Sign it again.`)
      }
      if (order.chain === 'closed') return refuse('order-closed', `Order ${orderId} is closed on chain already.`)
      await store.startClosing(orderId, 'requested')
      logger.info({ orderId }, 'close requested')
      return { status: 'closing', orderId }
    })
}
