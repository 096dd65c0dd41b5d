import type { LogFields } from './edge.js'

/**
 * What a log may say of an error from inside: its name, code and place, and those of its cause. Not its message, which
 * may quote what it was about (N8).
 */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: typeof error }
  const cause = error.cause instanceof Error ? error.cause : undefined
  return {
    error: error.name,
    code: codeOf(error),
    at: placeOf(error),
    cause: cause?.name,
    causeCode: cause === undefined ? undefined : codeOf(cause),
    causeAt: cause === undefined ? undefined : placeOf(cause),
  }
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** The innermost frame of the stack: a function, a file and a line. */
function placeOf({ stack }: Error): string | undefined {
  return stack
    ?.split('\n')
    .find((line) => /^\s+at /.test(line))
    ?.trim()
    .slice(3)
}
