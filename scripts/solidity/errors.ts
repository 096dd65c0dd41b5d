/** The contracts, or the settings that they are compiled with, cannot be worked with. */
export class SourceInvalidError extends Error {
  readonly code = 'SOURCE_INVALID'

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SourceInvalidError'
  }
}
