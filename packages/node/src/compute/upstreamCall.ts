import { ComputeError } from './errors.js'

export interface UpstreamOptions {
  /** `http(s)://host/v1`, without a slash at its end: `/chat/completions` is added. */
  readonly baseUrl: string
  /** Goes out as a bearer token and nowhere else (N8). */
  readonly apiKey?: string | undefined
  /** The longest silence of the upstream, in milliseconds, before its answer begins and between its pieces. */
  readonly idleTimeoutMs: number
  readonly fetch: typeof fetch
}

/** An answer of the upstream whose status was good. Reading it renews the time limit. */
export interface UpstreamAnswer {
  readonly chunks: AsyncIterable<Uint8Array>
}

/**
 * Posts a chat completion. Redirects are not followed: the key is for one host.
 *
 * @param signal stops it; the error is then the signal's reason
 * @throws {ComputeError} without the upstream's own words, which may name accounts or keys
 */
export async function callUpstream(
  options: UpstreamOptions,
  call: { readonly body: string; readonly signal: AbortSignal },
): Promise<UpstreamAnswer> {
  const stop = new AbortController()
  const forward = (): void => {
    stop.abort(call.signal.reason)
  }
  call.signal.addEventListener('abort', forward, { once: true })
  if (call.signal.aborted) forward()
  const idle = idleTimer(options.idleTimeoutMs, stop)
  const end = (): void => {
    idle.stop()
    call.signal.removeEventListener('abort', forward)
    stop.abort()
  }
  try {
    const response = await options.fetch(`${options.baseUrl}/chat/completions`, {
      method: 'POST',
      redirect: 'error',
      headers: {
        'content-type': 'application/json',
        ...(options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` }),
      },
      body: call.body,
      signal: stop.signal,
    })
    if (!response.ok) throw refusalOf(response.status)
    if (response.body === null)
      throw new ComputeError('UPSTREAM_MALFORMED', 'The model server sent no answer. Nothing is billed.')
    return { chunks: readChunks(response.body, { idle, end, signal: stop.signal }) }
  } catch (cause) {
    const error = upstreamError(cause, stop.signal)
    end()
    throw error
  }
}

interface IdleTimer {
  renew(): void
  pause(): void
  stop(): void
}

async function* readChunks(
  body: ReadableStream<Uint8Array>,
  call: { readonly idle: IdleTimer; readonly end: () => void; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  try {
    for (;;) {
      call.idle.renew()
      const { done, value } = await reader.read()
      // While the client takes its time with the piece, the upstream's time does not run.
      call.idle.pause()
      if (done) return
      yield value
    }
  } catch (cause) {
    throw upstreamError(cause, call.signal)
  } finally {
    call.end()
  }
}

function idleTimer(idleTimeoutMs: number, stop: AbortController): IdleTimer {
  let timer: NodeJS.Timeout | undefined
  const pause = (): void => {
    clearTimeout(timer)
  }
  const renew = (): void => {
    pause()
    timer = setTimeout(() => {
      stop.abort(
        new ComputeError(
          'UPSTREAM_TIMEOUT',
          `The model server was silent for ${String(idleTimeoutMs)} ms. Nothing is billed; try again.`,
        ),
      )
    }, idleTimeoutMs)
  }
  renew()
  return { renew, pause, stop: pause }
}

function upstreamError(cause: unknown, signal: AbortSignal): unknown {
  if (cause instanceof ComputeError) return cause
  if (signal.aborted) return signal.reason
  return new ComputeError('UPSTREAM_UNREACHABLE', 'The model server cannot be reached. Nothing is billed; try again.', {
    cause,
  })
}

function refusalOf(status: number): ComputeError {
  return status === 429 || status === 503
    ? new ComputeError('UPSTREAM_BUSY', 'The model server is busy. Nothing is billed; try again later.')
    : new ComputeError(
        'UPSTREAM_REFUSED',
        `The model server answered with status ${String(status)}. Nothing is billed.`,
      )
}
