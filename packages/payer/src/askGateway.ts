import {
  type GatewayAnswer,
  type GatewayReceipt,
  type GatewayRequest,
  type Hex,
  InvalidInputError,
  parseGatewayAnswer,
} from '@opg/protocol'
import type { Answer, PreparedCall, Refused } from './call.js'
import { ReceiptInvalidError } from './errors.js'
import type { TeeKey } from './fetchTeeKey.js'
import { checkGatewayAnswer } from './gatewayOrder.js'
import { parseAnswer } from './nodeResponse.js'
import type { Session } from './session.js'

/** What a gateway said, and signed. */
export interface GatewayAnswered extends Answer {
  /** What the gateway signed of its answer. Whatever else stands in the body is the node's word. */
  readonly text: string
  readonly gatewayReceipt: GatewayReceipt
  /** The settlement's `receiptsRoot`. */
  readonly leaf: Hex
}

/**
 * Asks for the one answer that a gateway order pays for, at its whole amount, and takes it only where the gateway signed
 * it, for this request.
 *
 * @param input.request as `createGatewayOrder` gave it
 * @param input.key of the terms' teeId, as `fetchTeeKey` gave it
 * @param input.call the one that an error carried, to ask again: it is billed once
 * @throws {ReceiptInvalidError} if the gateway did not sign the answer
 * @throws as `Session.send` does
 */
export async function askGateway(
  session: Session,
  input: { readonly request: GatewayRequest; readonly key: TeeKey; readonly call?: PreparedCall },
): Promise<GatewayAnswered | Refused> {
  const { request, key } = input
  const { book } = session
  if (key.teeId.toLowerCase() !== book.terms.evidenceKey.toLowerCase()) {
    throw new InvalidInputError({ field: 'key.teeId', expected: book.terms.evidenceKey, value: key.teeId })
  }
  const prepared =
    input.call === undefined
      ? await session.prepare('/v1/chat/completions', { body: request, maxFee: book.amount })
      : ({ status: 'prepared', call: input.call } as const)
  if (prepared.status === 'refused') return prepared
  const { call } = prepared
  const answer = await session.send(call)
  if (answer.status === 'refused') return answer
  const said = readAnswer(parseAnswer({ ...answer, call }))
  const checked = checkGatewayAnswer(said, { request, key })
  if (checked === undefined) throw notSigned(`a signature of ${key.teeId} over this answer to this request`, 'another')
  return { ...answer, text: said.text, gatewayReceipt: checked.receipt, leaf: checked.leaf }
}

function readAnswer(json: unknown): GatewayAnswer {
  try {
    return parseGatewayAnswer(json)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    throw notSigned(`in an answer whose ${error.field} is ${error.expected}`, error.found)
  }
}

function notSigned(expected: string, found: string): ReceiptInvalidError {
  return new ReceiptInvalidError({ field: 'tee_signature', expected, found })
}
