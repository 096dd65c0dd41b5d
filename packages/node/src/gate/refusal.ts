import type { InvalidInputError } from '@opg/protocol'
import type { Refusal, RefusalReason } from '../service/types.js'

const HTTP_STATUS: Readonly<Record<RefusalReason, number>> = {
  malformed: 400,
  'wrong-node': 400,
  'wrong-model': 400,
  'wrong-verifier': 400,
  'wrong-evidence-key': 400,
  'slice-not-proved': 400,
  'order-not-single': 400,
  'share-too-low': 400,
  'amount-too-low': 400,
  'request-hash-mismatch': 400,
  'request-not-pinned': 400,
  'reference-wrong': 400,
  'request-expired': 400,
  'max-fee-too-low': 402,
  'order-exhausted': 402,
  'order-not-open': 402,
  'order-closed': 402,
  'order-closing': 402,
  'order-expires-too-soon': 402,
  'books-behind': 402,
  'voucher-required': 402,
  'voucher-too-low': 402,
  'signature-invalid': 403,
  'voucher-invalid': 403,
  'order-unknown': 404,
  'index-conflict': 409,
  'in-progress': 409,
  unavailable: 503,
}

export function refuse(reason: RefusalReason, detail: string): Refusal {
  return { status: 'refused', reason, detail, httpStatus: HTTP_STATUS[reason] }
}

/** A malformed value: the message names the field, and never quotes what might be a key. */
export function refuseInput(error: InvalidInputError): Refusal {
  return refuse('malformed', error.message)
}
