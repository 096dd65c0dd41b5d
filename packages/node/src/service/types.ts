import type { Hex, InferenceRequest, PriceSheet, SignedReceipt, SignedRequest, TokenUsage } from '@opg/protocol'
import type { StoredOrder } from '../store/types.js'

/**
 * What the HTTP server asks of the payment core. Inputs that come from outside are `unknown` and are read here; nothing
 * below throws because of them: a malformed value is a refusal of reason `malformed` whose detail names the field.
 * Only a broken environment (the database, a bug in `run`'s caller) rejects.
 */
export interface PaidService {
  /**
   * Checks an order against the node's policy and the chain (N1), and remembers it. Idempotent.
   *
   * @param input `{ terms, order }` as their JSON (`parseTerms`, `parseOrder` of `@opg/protocol`), and of a slice
   *   `slice: { allocation, slice, proof }` beside them
   */
  admitOrder(input: unknown): Promise<OrderAdmission>
  /**
   * One paid request: verifies it, reserves its `maxFee` in one transaction, runs it, and resolves once the receipt is
   * durable (N2). Several may run at once, in several processes.
   */
  serve(call: PaidCall): Promise<PaidAnswer>
  /**
   * The payer's wish to have the rest back now: nothing more is admitted to the order, and the settler closes it.
   *
   * @param input `{ closeRequest, signature }`, signed by the order's payer. Idempotent.
   */
  requestClose(input: unknown): Promise<CloseAnswer>
}

export type OrderAdmission =
  | {
      readonly status: 'admitted'
      readonly orderId: Hex
      /** Base units that the order locks. */
      readonly amount: bigint
      /** Base units that are still free for new requests. */
      readonly held: bigint
      /** Unix seconds. */
      readonly claimBy: number
    }
  | Refusal

export type CloseAnswer = { readonly status: 'closing'; readonly orderId: Hex } | Refusal

export interface PaidCall {
  /** The URL's path as sent, without query (`/v1/infer`): `requestHash` covers it. */
  readonly path: string
  /** The body's raw bytes: `requestHash` covers them. */
  readonly body: Uint8Array
  /** Parsed JSON of the `x-opg-request` header, or its raw text, or undefined where there is none. Hostile. */
  readonly signedRequest: unknown
  /**
   * In place of `signedRequest`: a request that the order's payer has authorised by the payment itself, as this process
   * found. Nothing in it may be taken from outside unchecked.
   */
  readonly authorized?: InferenceRequest | undefined
  /** What this process has read already, a moment ago: the request in place of `signedRequest`, its order in the books. */
  readonly known?: { readonly signedRequest: SignedRequest; readonly order: StoredOrder | undefined } | undefined
  /**
   * Parsed JSON of the `x-opg-voucher` header, or its raw text, or undefined where there is none. Read where the order's
   * verifier asks for vouchers. Hostile.
   */
  readonly signedVoucher?: unknown
  /** Must be the `modelId` of the order's terms. */
  readonly modelId: Hex
  /** What the fee is computed from. */
  readonly prices: PriceSheet
  /** The most that this request can cost, in base units: a request whose `maxFee` is below it is refused. */
  readonly maxFeeNeeded: bigint
  /**
   * Does the work. Called once, after the reservation is durable, and never for a stored answer. All bytes of the
   * answer go through `emit`.
   */
  readonly run: (io: ComputeIo) => Promise<ComputedAnswer>
  /** The same work under an order that only a gateway's receipt settles; undefined where no gateway does it. */
  readonly gateway?: GatewayCall | undefined
  /**
   * Where given, the answer is streamed: called with each chunk in order, as soon as it was emitted. A rejection means
   * that the client has gone. Never called for a stored answer.
   */
  readonly onChunk?: (chunk: Uint8Array) => Promise<void> | void
  /**
   * Aborted when the client has gone. A streamed answer then stops, and what was sent is billed (F19); a buffered one
   * runs to its end and is stored, so that the client may fetch what it pays for with the same request.
   */
  readonly signal: AbortSignal
}

export interface ComputeIo {
  /**
   * Aborted when the client of a streamed answer has gone. On it `run` stops, and *resolves* with the usage of what it
   * emitted; it rejects only where the work itself failed, and then nothing is billed.
   */
  readonly signal: AbortSignal
  /** Takes the next bytes of the answer. After an abort they are dropped, and are neither sent nor hashed. */
  readonly emit: (chunk: Uint8Array) => Promise<void>
}

/** A request that an OpenGradient gateway answers, and signs. */
export interface GatewayCall {
  /** bytes32 each: the gateways that may be the one. */
  readonly teeIds: readonly Hex[]
  /**
   * What the gateway will hash, and the payment reference that it carries.
   *
   * @throws {InvalidInputError} where the gateway's receipt for it could prove nothing
   */
  read(): { readonly inputHash: Hex; readonly reference: Hex | undefined }
  /** In place of `PaidCall.run`: the gateway gets exactly what `inputHash` is of. */
  readonly run: PaidCall['run']
}

export interface ComputedAnswer {
  readonly usage: TokenUsage
  readonly contentType: string
}

export type PaidAnswer =
  | {
      /** `replayed`: the stored answer of an earlier, equal request; nothing ran and nothing more is owed. */
      readonly status: 'served' | 'replayed'
      /** All bytes of the answer. In a stream that was `served`, `onChunk` has had them all already. */
      readonly body: Uint8Array
      readonly contentType: string
      readonly signedReceipt: SignedReceipt
    }
  | Refusal
  | {
      /** The work failed: nothing is billed, and the same request may be sent again. */
      readonly status: 'failed'
      readonly detail: string
      readonly cause: unknown
    }

/** Nothing ran and nothing is owed. */
export interface Refusal {
  readonly status: 'refused'
  readonly reason: RefusalReason
  /** One sentence for the client: what was expected, what was found, what to do next. */
  readonly detail: string
  /** 400 malformed, 402 the order does not pay for it, 403 not the requester, 404, 409 conflict, 503 try again. */
  readonly httpStatus: number
}

export type RefusalReason =
  | 'malformed'
  | 'wrong-node'
  | 'wrong-model'
  | 'wrong-verifier'
  | 'wrong-evidence-key'
  | 'slice-not-proved'
  | 'order-not-single'
  | 'share-too-low'
  | 'amount-too-low'
  | 'order-unknown'
  | 'order-not-open'
  | 'order-closed'
  | 'order-closing'
  | 'order-expires-too-soon'
  | 'order-exhausted'
  | 'books-behind'
  | 'request-expired'
  | 'request-hash-mismatch'
  | 'request-not-pinned'
  | 'reference-wrong'
  | 'signature-invalid'
  | 'voucher-required'
  | 'voucher-invalid'
  | 'voucher-too-low'
  | 'max-fee-too-low'
  | 'index-conflict'
  | 'in-progress'
  | 'unavailable'
