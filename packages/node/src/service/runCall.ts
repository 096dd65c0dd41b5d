import type { ComputedAnswer, PaidCall } from './types.js'

export type RunOutcome =
  | { readonly status: 'ran'; readonly body: Uint8Array; readonly computed: ComputedAnswer }
  | { readonly status: 'failed'; readonly cause: unknown }

/**
 * Runs the work of a call and keeps what it emitted.
 *
 * A streamed answer ends where its client leaves, and what was sent is what is billed (F19). A buffered one runs to its
 * end: its client has a right to the stored answer, and leaving early is no way to have the work for nothing.
 */
export async function runCall(call: PaidCall): Promise<RunOutcome> {
  const { onChunk } = call
  const stop = new AbortController()
  const leave = (): void => {
    stop.abort()
  }
  if (onChunk !== undefined) {
    if (call.signal.aborted) return { status: 'failed', cause: call.signal.reason }
    call.signal.addEventListener('abort', leave, { once: true })
  }

  const chunks: Uint8Array[] = []
  const send = async (chunk: Uint8Array): Promise<void> => {
    if (stop.signal.aborted) return
    try {
      await onChunk?.(chunk)
      chunks.push(chunk)
    } catch {
      stop.abort() // the client has gone, and this chunk was not sent
    }
  }
  let sent = Promise.resolve()
  const emit = (chunk: Uint8Array): Promise<void> => {
    const copy = Uint8Array.from(chunk) // the caller may use its buffer again
    sent = sent.then(() => send(copy))
    return sent
  }

  try {
    const computed = await call.run({ signal: stop.signal, emit })
    await sent
    return { status: 'ran', body: Buffer.concat(chunks), computed }
  } catch (cause) {
    return { status: 'failed', cause }
  } finally {
    call.signal.removeEventListener('abort', leave)
  }
}
