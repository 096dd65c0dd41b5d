/** The chain could not be asked, or did not answer as a chain does: try again. Never says anything of an order (N6). */
export class ChainUnavailableError extends Error {
  readonly code = 'CHAIN_UNAVAILABLE'
  readonly operation: string

  constructor(operation: string, { cause }: { readonly cause?: unknown } = {}) {
    super(`The chain did not answer ${operation}. Nothing was concluded from it; try again.`, {
      cause: withoutUrl(cause),
    })
    this.name = 'ChainUnavailableError'
    this.operation = operation
  }
}

/** The RPC speaks for another chain, or another contract, than this node was set up for. */
export class WrongChainError extends Error {
  readonly code = 'WRONG_CHAIN'
  readonly expected: string
  readonly found: string

  constructor(what: string, { expected, found }: { readonly expected: string; readonly found: string }) {
    super(`${what} must be ${expected}, but it is ${found}. Check the RPC URL, the addresses and the database's path.`)
    this.name = 'WrongChainError'
    this.expected = expected
    this.found = found
  }
}

/** The database failed: full, locked for longer than the timeout, or damaged. */
export class StoreError extends Error {
  readonly code = 'STORE_FAILED'
  readonly operation: string

  constructor(operation: string, options?: { readonly cause?: unknown }) {
    super(`The database failed at ${operation}. Check its disk and permissions.`, options)
    this.name = 'StoreError'
    this.operation = operation
  }
}

/** Another process settles with this key now. */
export class LaneLostError extends Error {
  readonly code = 'LANE_LOST'

  constructor() {
    super('Another process holds the lane of this key. Nothing was written; its work goes on there.')
    this.name = 'LaneLostError'
  }
}

/** A key cannot be used. The message never shows any of it (N8). */
export class KeyUnusableError extends Error {
  readonly code = 'KEY_UNUSABLE'

  constructor(what: string, expected: string) {
    super(`${what} must be ${expected}.`)
    this.name = 'KeyUnusableError'
  }
}

/** The configuration is wrong. `setting` names the variable, or the file and the member in it. Never shows secrets. */
export class ConfigError extends Error {
  readonly code = 'CONFIG_INVALID'
  readonly setting: string

  constructor(setting: string, expected: string, options?: ErrorOptions) {
    super(`${setting} must be ${expected}.`, options)
    this.name = 'ConfigError'
    this.setting = setting
  }
}

/** What an RPC's failure says, less its URL: providers put their customers' keys into it (N8). */
function withoutUrl(cause: unknown): { readonly code: string; readonly message: string } {
  const { code, shortMessage } = Object(cause) as { readonly code?: unknown; readonly shortMessage?: unknown }
  return {
    code: typeof code === 'string' ? code : 'UNKNOWN',
    message: typeof shortMessage === 'string' ? shortMessage : 'no further details',
  }
}
