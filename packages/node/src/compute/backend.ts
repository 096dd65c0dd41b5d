import type { Hex, PriceSheet } from '@opg/protocol'
import type { ComputedAnswer, ComputeIo, GatewayCall } from '../service/types.js'

/** The paths under which work is sold. */
export const COMPUTE_PATHS = ['/v1/infer', '/v1/chat/completions'] as const

export type ComputePath = (typeof COMPUTE_PATHS)[number]

/** A model as it is offered. */
export interface ModelOffer {
  /** What requests call it. */
  readonly name: string
  /** bytes32 of the `ModelRegistry`; orders name it in their terms. */
  readonly modelId: Hex
  readonly prices: PriceSheet
}

/** A parsed JSON object from outside. Its members may be of any type. */
export type JsonObject = Readonly<Record<string, unknown>>

/** One kind of compute: reads what is asked, says what it can cost at most, and does it. */
export interface ComputeBackend {
  readonly path: ComputePath
  readonly model: ModelOffer
  /**
   * Reads a request's body. Nothing runs yet.
   *
   * @param bodyBytes length of the body as it arrived: no text in it has more tokens than that
   * @throws {InvalidInputError} naming the member that is wrong
   */
  prepare(body: JsonObject, bodyBytes: number): PreparedCall
  /** Frees what the backend holds. */
  close(): Promise<void>
}

/** A request that was read and found good. */
export interface PreparedCall {
  /** Base units: the most that it can cost. */
  readonly maxFee: bigint
  /** Whether the answer leaves piece by piece, as server-sent events. */
  readonly isStreamed: boolean
  /**
   * Does the work.
   *
   * @throws {ComputeError} if it fails; then nothing is billed
   */
  run(io: ComputeIo): Promise<ComputedAnswer>
  /** The same work as a gateway does and signs it, where one stands behind this model. */
  readonly gateway?: GatewayCall
}
