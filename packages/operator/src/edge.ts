/** Milliseconds since 1970. Given from the edge, so that tests can turn it. */
export type Clock = () => number

/** So many random bytes. Given from the edge. */
export type RandomBytes = (length: number) => Uint8Array

/** Where the node tells what it does. Fields hold ids, amounts and reasons; never a key, nor what might hold one (N8). */
export interface Logger {
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** Says nothing. */
export const SILENT: Logger = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

/** Waits so many milliseconds, or until `signal` is aborted. Given from the edge. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>
