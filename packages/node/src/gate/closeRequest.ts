import {
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

/** Takes the payer's wish to have the rest back: admission ends at once, the settler closes when nothing runs. */
export function createCloseRequests(
  dependencies: Pick<GateDependencies, 'store' | 'chain' | 'clock' | 'logger'>,
): (input: unknown) => Promise<CloseAnswer> {
  const { store, chain, clock, logger } = dependencies
  return (input) =>
    answering('closing an order', logger, async (): Promise<CloseAnswer> => {
      const { closeRequest, signature } = readInput(input, '')
      const { orderId, expiresAt } = closeRequest
      const order = await store.order(orderId)
      if (order === undefined) return refuse('order-unknown', `Order ${orderId} is not known here.`)

      const { payer } = order.order
      const digest = structDigest(chain.separator, { name: 'CloseRequest', value: closeRequest })
      const isPayer =
        recoverSigner(digest, signature) === payer ||
        ((await chain.codeHash(payer)) !== undefined && (await chain.isValidSignature(payer, { digest, signature })))
      if (!isPayer) return refuse('signature-invalid', `The close request must be signed by payer ${payer}.`)
      if (expiresAt <= Math.floor(clock() / 1000)) {
        return refuse('request-expired', `The close request was good until ${String(expiresAt)}. Sign it again.`)
      }
      if (order.chain === 'closed') return refuse('order-closed', `Order ${orderId} is closed on chain already.`)
      await store.startClosing(orderId, 'requested')
      logger.info({ orderId }, 'close requested')
      return { status: 'closing', orderId }
    })
}
