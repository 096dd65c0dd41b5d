/** A setting that may be secret is missing or malformed. The message never shows its value (N8). */
export class SettingInvalidError extends Error {
  readonly code = 'SETTING_INVALID'
  readonly variable: string

  constructor(input: { readonly variable: string; readonly expected: string }) {
    super(`${input.variable} must be ${input.expected}, and it is not (its value is not shown). Set it and run again.`)
    this.name = 'SettingInvalidError'
    this.variable = input.variable
  }
}

/** The chain lacks something that a deployment needs. Nothing was sent. */
export class PreflightError extends Error {
  readonly code = 'DEPLOY_PREFLIGHT_FAILED'

  constructor(message: string) {
    super(message)
    this.name = 'PreflightError'
  }
}

/** The RPC endpoint is of another chain than the one meant. */
export class WrongChainError extends Error {
  readonly code = 'DEPLOY_WRONG_CHAIN'
  readonly expected: readonly number[]
  readonly found: number

  constructor(input: { readonly network: string; readonly expected: readonly number[]; readonly found: number }) {
    super(
      `${input.network} has chain id ${input.expected.join(' or ')}, but the RPC endpoint answers ${String(input.found)}. Check the RPC URL.`,
    )
    this.name = 'WrongChainError'
    this.expected = input.expected
    this.found = input.found
  }
}

/** Ignition could not finish. What is on chain is in its journal: the next run goes on from there. */
export class DeployFailedError extends Error {
  readonly code = 'DEPLOY_FAILED'

  constructor(reason: string, options?: ErrorOptions) {
    super(`The deployment did not finish: ${reason} Run the same command again once the cause is gone.`, options)
    this.name = 'DeployFailedError'
  }
}

/** One thing on chain that is not as recorded or asked for. */
export interface Difference {
  readonly subject: string
  readonly expected: string
  readonly found: string
}

/** What is on chain is not what the manifest and the parameters say. */
export class CheckFailedError extends Error {
  readonly code = 'DEPLOY_CHECK_FAILED'
  readonly differences: readonly Difference[]

  constructor(chainId: number, differences: readonly Difference[]) {
    const lines = differences.map(
      ({ subject, expected, found }) => `  ${subject}: expected ${expected}, found ${found}`,
    )
    super(
      `Chain ${String(chainId)} is not as recorded and asked for:\n${lines.join('\n')}\nCorrect deployments/${String(chainId)}.json or the DEPLOY_* variables.`,
    )
    this.name = 'CheckFailedError'
    this.differences = differences
  }
}

/** A manifest is there but cannot be read. */
export class ManifestInvalidError extends Error {
  readonly code = 'DEPLOY_MANIFEST_INVALID'

  constructor(path: string, options: { readonly cause: unknown }) {
    const reason = options.cause instanceof Error ? options.cause.message : String(options.cause)
    super(`${path} is not a manifest: ${reason} Restore it, or move it away to write it anew.`, options)
    this.name = 'ManifestInvalidError'
  }
}

/** The RPC endpoint could not be reached, or answered with an error. */
export class RpcError extends Error {
  readonly code = 'RPC_FAILED'
  readonly method: string
  /** The error's `data`, as an endpoint gives it for reverts. */
  readonly data: unknown

  constructor(
    input: { readonly method: string; readonly host: string; readonly reason: string; readonly data?: unknown },
    options?: ErrorOptions,
  ) {
    super(`${input.method} at ${input.host} failed: ${input.reason}`, options)
    this.name = 'RpcError'
    this.method = input.method
    this.data = input.data
  }
}

/** The command line cannot be understood. */
export class UsageError extends Error {
  readonly code = 'USAGE'

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'UsageError'
  }
}
