import type { Signer } from 'ethers'
import { type CloseRequest, type Hex, parseAddress, toWire, typedData } from '@opg/protocol'
import type { Refused } from './call.js'
import { SignerMismatchError } from './errors.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkSeconds } from './input.js'
import { type HttpOptions, callNode, nodeHttp, refusalOf } from './nodeHttp.js'
import { readJson } from './nodeResponse.js'
import { type OrderOrSlice, tabOf } from './tab.js'

/**
 * Asks the node to finish what it admitted and close the order, which returns the rest before `claimBy`, or to settle its
 * slice, which frees the rest for other slices. The node may take its time; `watchOrder` and `routedStatus` show when it
 * is done.
 *
 * @param signer the payer; of a slice, the facilitator too
 * @throws {InvalidInputError} {@link SignerMismatchError} {@link NodeUnavailableError} {@link NodeAnswerError}
 */
export async function requestClose(
  signer: Signer,
  options: OrderOrSlice &
    HttpOptions & {
      readonly escrow: EscrowInfo
      /** Unix seconds until which the wish counts. */
      readonly expiresAt: number
    },
): Promise<{ readonly status: 'closing'; readonly orderId: Hex } | Refused> {
  const { escrow } = options
  const http = nodeHttp(options)
  const { orderId, terms, order, slice } = tabOf(escrow, options)
  const found = parseAddress(await signer.getAddress(), 'signer')
  const isFacilitator = slice !== undefined && found === terms.facilitator
  if (found !== order.payer && !isFacilitator)
    throw new SignerMismatchError({ field: 'order.payer', expected: order.payer, found })

  const closeRequest: CloseRequest = { orderId, expiresAt: checkSeconds(options.expiresAt, 'expiresAt') }
  const data = typedData(escrow, { name: 'CloseRequest', value: closeRequest })
  const signature = await signer.signTypedData(data.domain, data.types, data.message)
  const answer = await callNode(http, {
    path: `/v1/orders/${orderId}/close`,
    body: new TextEncoder().encode(JSON.stringify({ closeRequest: toWire(closeRequest), signature })),
    read: readJson,
  })
  return answer.status === 'refused' ? refusalOf(answer) : { status: 'closing', orderId }
}
