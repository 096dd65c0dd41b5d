/** A reserved request gets no answer; its reservation is given back. */
export class AnswerTakenBackError extends Error {
  readonly code = 'ANSWER_TAKEN_BACK'

  constructor(reason: string) {
    super(`The request is not answered: ${reason}. Nothing is charged; the client may send it again.`)
    this.name = 'AnswerTakenBackError'
  }
}

/** Path and raw body of a request could not be had, and payments are signed over them. */
export class RawBodyMissingError extends Error {
  readonly code = 'RAW_BODY_MISSING'

  constructor() {
    super(
      'Payments by work-order are signed over the raw body, and the framework gave a parsed one. Use express.raw({ type: () => true }) on paid routes, or pass readBody to workOrderServer.',
    )
    this.name = 'RawBodyMissingError'
  }
}
