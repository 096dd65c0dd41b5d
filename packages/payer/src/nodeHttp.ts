import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidInputError } from '@opg/protocol'
import type { PreparedCall, Refused } from './call.js'
import { NodeAnswerError, NodeUnavailableError, shorten } from './errors.js'
import { checkCount } from './input.js'
import {
  ConnectionError,
  type NodeResponse,
  type Watchdog,
  memberOf,
  openResponse,
  readJson,
  watchdog,
} from './nodeResponse.js'

/** How to talk to a node. */
export interface HttpOptions {
  /** The node's origin, `https://node.example`, without a path. */
  readonly nodeUrl: string
  readonly fetch: typeof globalThis.fetch
  /** For a whole answer; in a stream, for each piece of it. 60,000 if absent. */
  readonly timeoutMs?: number
  /** 16 MiB if absent. */
  readonly maxAnswerBytes?: number
  /** How often a call is tried where the node is unreachable or says "later". 4 if absent. */
  readonly attempts?: number
  /** Before the second attempt; each further one waits twice as long, at most 5 seconds. 250 if absent. */
  readonly backoffMs?: number
}

export type NodeHttp = Required<HttpOptions>

export interface NodeCall<T> {
  readonly path: string
  /** A GET where absent. */
  readonly body?: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  /** For errors, so that the caller can send it again. */
  readonly call?: PreparedCall
  /** Reasons of refusals that may pass. */
  readonly passing?: readonly string[]
  readonly read: (response: NodeResponse) => Promise<T>
}

const MAX_WAIT_MS = 5_000
const MAX_TIMEOUT_MS = 3_600_000
const MAX_ERROR_BYTES = 65_536
const RETRIED: readonly number[] = [408, 425, 429, 500, 502, 503, 504]

/** Checks the options and fills in what is absent. @throws {InvalidInputError} */
export function nodeHttp(options: HttpOptions): NodeHttp {
  if (typeof options.fetch !== 'function') {
    throw new InvalidInputError({ field: 'fetch', expected: 'a function like globalThis.fetch', value: options.fetch })
  }
  return {
    nodeUrl: originOf(options.nodeUrl),
    fetch: options.fetch,
    timeoutMs: checkCount(options.timeoutMs ?? 60_000, { field: 'timeoutMs', min: 1, max: MAX_TIMEOUT_MS }),
    maxAnswerBytes: checkCount(options.maxAnswerBytes ?? 2 ** 24, { field: 'maxAnswerBytes', min: 1, max: 2 ** 30 }),
    attempts: checkCount(options.attempts ?? 4, { field: 'attempts', min: 1, max: 100 }),
    backoffMs: checkCount(options.backoffMs ?? 250, { field: 'backoffMs', min: 0, max: MAX_WAIT_MS }),
  }
}

/**
 * Calls a node, again where that may help: the same bytes each time.
 *
 * @throws {NodeUnavailableError} {@link NodeAnswerError}, and whatever `read` throws
 */
export async function callNode<T>(
  http: NodeHttp,
  node: NodeCall<T>,
): Promise<{ readonly status: 'ok'; readonly value: T } | (Refused & { readonly body: unknown })> {
  for (let attempt = 1; ; attempt++) {
    const tried = await tryOnce(http, node)
    const isLast = attempt === http.attempts
    if (tried.status === 'ok') return tried
    if (tried.status === 'refused') {
      if (isLast || node.passing?.includes(tried.reason) !== true) return tried
    } else if (isLast) {
      throw new NodeUnavailableError({
        url: `${http.nodeUrl}${node.path}`,
        attempts: attempt,
        cause: tried.cause,
        ...(node.call === undefined ? {} : { call: node.call }),
      })
    }
    const asked = tried.status === 'later' ? tried.afterMs : 0
    await sleep(Math.min(Math.max(http.backoffMs * 2 ** (attempt - 1), asked), MAX_WAIT_MS))
  }
}

type Tried<T> =
  | { readonly status: 'ok'; readonly value: T }
  | (Refused & { readonly body: unknown })
  | { readonly status: 'later'; readonly cause: unknown; readonly afterMs: number }

async function tryOnce<T>(http: NodeHttp, node: NodeCall<T>): Promise<Tried<T>> {
  const watch = watchdog(http.timeoutMs)
  try {
    const response = await connect(http, { node, signal: watch.signal })
    const opened = openResponse(response, { limit: http.maxAnswerBytes, watch, call: node.call })
    if (response.status === 200) return { status: 'ok', value: await node.read(opened) }
    if (response.status < 400) {
      throw new NodeAnswerError({
        field: 'status',
        expected: '200, or an error status',
        found: String(response.status),
        call: node.call,
      })
    }
    const refused = await readRefusal(response, watch)
    const after = Number(response.headers.get('retry-after') ?? Number.NaN)
    return RETRIED.includes(response.status) || Number.isFinite(after)
      ? { status: 'later', cause: refused.detail, afterMs: Number.isFinite(after) && after > 0 ? after * 1_000 : 0 }
      : refused
  } catch (error) {
    watch.abort()
    if (error instanceof ConnectionError) return { status: 'later', cause: error.cause, afterMs: 0 }
    throw error
  } finally {
    watch.stop()
  }
}

async function connect<T>(
  http: NodeHttp,
  { node, signal }: { readonly node: NodeCall<T>; readonly signal: AbortSignal },
): Promise<Response> {
  try {
    return await http.fetch(`${http.nodeUrl}${node.path}`, {
      method: node.body === undefined ? 'GET' : 'POST',
      headers: {
        ...node.headers,
        // The receipt covers the bytes as the node made them.
        'accept-encoding': 'identity',
        ...(node.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(node.body === undefined ? {} : { body: node.body }),
      redirect: 'manual',
      signal,
    })
  } catch (cause) {
    throw new ConnectionError('connecting failed', { cause })
  }
}

async function readRefusal(response: Response, watch: Watchdog): Promise<Refused & { readonly body: unknown }> {
  const { status } = response
  const none = { status: 'refused', by: 'node', reason: `HTTP_${String(status)}`, body: undefined } as const
  let body: unknown
  try {
    const opened = openResponse(response, { limit: MAX_ERROR_BYTES, watch, call: undefined })
    body = await readJson(opened)
  } catch (error) {
    if (error instanceof ConnectionError) throw error
    return { ...none, detail: `The node refused with status ${String(status)} and no reason.` }
  }
  const error = memberOf(body, 'error')
  const [code, message] = [memberOf(error, 'code'), memberOf(error, 'message')]
  return {
    ...none,
    reason: typeof code === 'string' && /^[A-Z0-9_]{1,40}$/.test(code) ? code : none.reason,
    detail: typeof message === 'string' ? shorten(message) : `The node refused with status ${String(status)}.`,
    body,
  }
}

/** A refusal without the node's body. */
export function refusalOf({ status, by, reason, detail }: Refused): Refused {
  return { status, by, reason, detail }
}

function originOf(nodeUrl: string): string {
  const url = typeof nodeUrl === 'string' && URL.canParse(nodeUrl) ? new URL(nodeUrl) : null
  const isOrigin =
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === '' &&
    url.username === '' &&
    url.password === ''
  if (!isOrigin) {
    throw new InvalidInputError({
      field: 'nodeUrl',
      expected: 'an origin like https://node.example, without a path',
      value: nodeUrl,
    })
  }
  return url.origin
}
