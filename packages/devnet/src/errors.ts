/** The local chain process did not come up. */
export class AnvilStartError extends Error {
  readonly code = 'ANVIL_START_FAILED'

  constructor(reason: string, output: string) {
    super(
      `anvil did not start: ${reason} ${output.trim() === '' ? 'It printed nothing.' : `It printed:\n${output.trim()}`}`,
    )
    this.name = 'AnvilStartError'
  }
}

/** No anvil is installed for this machine. */
export class AnvilMissingError extends Error {
  readonly code = 'ANVIL_MISSING'

  constructor(platform: string, options: ErrorOptions) {
    super(`No anvil is installed for ${platform}. Run \`npm ci\` without --omit=optional.`, options)
    this.name = 'AnvilMissingError'
  }
}

/** The snapshot was never taken, or was reverted to before. */
export class SnapshotUnknownError extends Error {
  readonly code = 'SNAPSHOT_UNKNOWN'

  constructor(id: string) {
    super(`There is no snapshot ${id}: each one can be reverted to once.`)
    this.name = 'SnapshotUnknownError'
  }
}
