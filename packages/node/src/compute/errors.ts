export type ComputeErrorCode =
  | 'MODEL_FAILED'
  | 'ANSWER_TOO_LARGE'
  | 'UPSTREAM_UNREACHABLE'
  | 'UPSTREAM_REFUSED'
  | 'UPSTREAM_BUSY'
  | 'UPSTREAM_TIMEOUT'
  | 'UPSTREAM_MALFORMED'
  | 'CLIENT_GONE'

/** The work failed. The message is meant for the client: it names no key, address or file of the node. */
export class ComputeError extends Error {
  readonly code: ComputeErrorCode

  constructor(code: ComputeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ComputeError'
    this.code = code
  }
}

/** A model cannot be loaded, or is of a kind that this node cannot sell. */
export class ModelLoadError extends Error {
  readonly code = 'MODEL_LOAD'
  readonly model: string

  constructor(model: string, detail: string, options?: ErrorOptions) {
    super(`Model ${model}: ${detail}`, options)
    this.name = 'ModelLoadError'
    this.model = model
  }
}
