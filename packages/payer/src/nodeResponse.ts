import type { PreparedCall } from './call.js'
import { NodeAnswerError, reasonOf } from './errors.js'

/** An answer with status 200. */
export interface NodeResponse {
  readonly contentType: string
  header(name: string): string | null
  /** Its bytes, once. `isStream`: the time limit is for each piece. */
  pieces(isStream: boolean): AsyncGenerator<Uint8Array, void>
}

/** The connection failed, or took too long: nothing is known of the call. */
export class ConnectionError extends Error {
  readonly code = 'CONNECTION'
}

/** Whether an error means that the connection failed under an answer. */
export function isConnectionError(error: unknown): error is Error {
  return error instanceof ConnectionError
}

/** The time that an answer may take. */
export interface Watchdog {
  readonly signal: AbortSignal
  /** Gives a stream's next piece all the time again; a whole answer keeps what is left of its own. */
  restart(isStream: boolean): void
  stop(): void
  /** Ends the connection. */
  abort(): void
}

/** Starts the time. */
export function watchdog(timeoutMs: number): Watchdog {
  const controller = new AbortController()
  const arm = (): NodeJS.Timeout =>
    setTimeout(() => {
      controller.abort(new ConnectionError(`no answer within ${timeoutMs.toString()} ms`))
    }, timeoutMs)
  let timer = arm()
  return {
    signal: controller.signal,
    restart: (isStream) => {
      if (!isStream) return
      clearTimeout(timer)
      timer = arm()
    },
    stop: () => {
      clearTimeout(timer)
    },
    abort: () => {
      controller.abort()
    },
  }
}

/** An answer that has begun. */
export function openResponse(
  response: Response,
  options: { readonly limit: number; readonly watch: Watchdog; readonly call: PreparedCall | undefined },
): NodeResponse {
  return {
    contentType: response.headers.get('content-type') ?? 'none',
    header: (name) => response.headers.get(name),
    pieces: (isStream) => piecesOf(response, { ...options, isStream }),
  }
}

async function* piecesOf(
  response: Response,
  options: {
    readonly limit: number
    readonly watch: Watchdog
    readonly call: PreparedCall | undefined
    readonly isStream: boolean
  },
): AsyncGenerator<Uint8Array, void> {
  const { limit, watch, call, isStream } = options
  const encoding = response.headers.get('content-encoding') ?? 'identity'
  if (encoding !== 'identity') {
    throw new NodeAnswerError({ field: 'content-encoding', expected: 'absent', found: encoding, call })
  }
  if (response.body === null) return
  const reader = response.body.getReader()
  let taken = 0
  try {
    for (;;) {
      watch.restart(isStream)
      const { done, value } = await readPiece(reader)
      if (done) return
      if (isStream) watch.stop() // how long the consumer takes is its own affair
      taken += value.length
      if (taken > limit) {
        const [expected, found] = [`at most ${limit.toString()} bytes`, 'longer']
        throw new NodeAnswerError({ field: 'body', expected, found, call })
      }
      yield value
    }
  } finally {
    watch.stop()
    reader.cancel().catch(() => undefined) // the connection may be gone already
  }
}

async function readPiece(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<Awaited<ReturnType<typeof reader.read>>> {
  try {
    return await reader.read()
  } catch (cause) {
    throw new ConnectionError('the connection broke', { cause })
  }
}

/** All pieces in one. */
export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

/** Reads an answer that must be JSON. @throws {NodeAnswerError} */
export async function readJson(response: NodeResponse): Promise<unknown> {
  return parseAnswer({ body: await collect(response.pieces(false)), contentType: response.contentType })
}

/** @throws {NodeAnswerError} if an answer is not JSON */
export function parseAnswer(answer: {
  readonly body: Uint8Array
  readonly contentType: string
  readonly call?: PreparedCall
}): unknown {
  const { contentType, call } = answer
  if (!/^application\/json\s*(;|$)/i.test(contentType)) {
    throw new NodeAnswerError({ field: 'content-type', expected: 'application/json', found: contentType, call })
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(answer.body)) as unknown
  } catch (cause) {
    throw new NodeAnswerError({ field: 'body', expected: 'JSON in UTF-8', found: reasonOf(cause), call, cause })
  }
}

/** A member of parsed JSON; undefined where there is none. */
export function memberOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Readonly<Record<string, unknown>>)[key]
}
