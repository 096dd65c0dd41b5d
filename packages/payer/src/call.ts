import type { Hex, SignedReceipt, SignedRequest, SignedVoucher } from '@opg/protocol'

/** A request that is signed and noted. Sent again, it gets the same answer and is billed once. */
export interface PreparedCall {
  /** The URL's path, `/v1/infer`. */
  readonly path: string
  /** The bytes that the signature covers. */
  readonly body: Uint8Array
  readonly signed: SignedRequest
  /** Consent to the total that this call may lead to, where the session signs vouchers. */
  readonly voucher?: SignedVoucher | undefined
  readonly requestId: Hex
}

/** Nothing ran and nothing is owed. */
export interface Refused {
  readonly status: 'refused'
  /** Who: the node, or the spender's own limits before anything left. */
  readonly by: 'node' | 'limits'
  /** A code for programs, like ORDER_EXHAUSTED. */
  readonly reason: string
  /** A sentence for people. */
  readonly detail: string
}

/** An answer whose receipt was verified and kept. */
export interface Answer {
  readonly status: 'answered'
  /** The bytes that the receipt covers. */
  readonly body: Uint8Array
  readonly contentType: string
  readonly receipt: SignedReceipt
}

/** Of a stream. The last one is the receipt, verified and kept. */
export type StreamEvent =
  | {
      readonly type: 'chunk'
      readonly data: string
      /** `data` as JSON; undefined where it is none, like OpenAI's `[DONE]`. */
      readonly json: unknown
    }
  | { readonly type: 'receipt'; readonly receipt: SignedReceipt }
