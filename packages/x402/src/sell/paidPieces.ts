import type { PaidCall, PaidPiece, PaidStream, StreamEnd } from './paidCall.js'

/** Makes the pieces of an answer. */
export type Produce<Input> = (input: Input, stream: PaidStream) => AsyncIterable<PaidPiece>

/** Where pieces go. */
export interface PieceSink {
  /** Sends a piece: true once the client's side of the connection has it, false if the client left. */
  send(bytes: Uint8Array): Promise<boolean>
  /** Aborted when the client left. */
  readonly gone: AbortSignal
}

export type Streamed =
  | StreamEnd
  /** The client left; it was charged what it had been sent. */
  | { readonly status: 'gone' }
  /** The handler failed; the order was given back. `headers` say so, if nothing was sent yet. */
  | { readonly status: 'threw'; readonly hasBegun: boolean; readonly headers: Readonly<Record<string, string>> }

/**
 * Sends the pieces of a paid answer and ends its order: what was sent is charged, if the client left too; a handler that
 * fails gives the order back. A piece counts once it was sent.
 */
export async function streamPieces<Input>(
  call: PaidCall,
  parts: { readonly input: Input; readonly produce: Produce<Input>; readonly sink: PieceSink },
): Promise<Streamed> {
  const { input, produce, sink } = parts
  const over = new AbortController()
  const signal = AbortSignal.any([sink.gone, over.signal])
  const timer = setTimeout(() => {
    over.abort()
  }, call.remainingMs)
  const sent: Uint8Array[] = []
  let fee = 0n
  try {
    for await (const piece of untilAborted(produce(input, { cap: call.cap, signal }), signal)) {
      const bytes = typeof piece.data === 'string' ? Buffer.from(piece.data) : piece.data
      if (!(await sink.send(bytes))) break
      sent.push(bytes)
      if (piece.fee > fee) fee = piece.fee
    }
  } catch (error) {
    // A handler that gives up because the client did is not one that failed.
    if (!signal.aborted) return { status: 'threw', hasBegun: sent.length > 0, headers: await call.cancel(error) }
  } finally {
    clearTimeout(timer)
  }
  if (sink.gone.aborted) {
    if (fee === 0n) await call.cancel()
    else await call.settle(sent, fee)
    return { status: 'gone' }
  }
  return await call.settle(sent, fee)
}

/** The pieces until `signal` is aborted; a producer that hangs then is not waited for. */
async function* untilAborted(pieces: AsyncIterable<PaidPiece>, signal: AbortSignal): AsyncGenerator<PaidPiece> {
  const iterator = pieces[Symbol.asyncIterator]()
  const aborted = new Promise<'aborted'>((resolve) => {
    const abort = (): void => {
      resolve('aborted')
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
  try {
    for (;;) {
      const next = await Promise.race([aborted, iterator.next()])
      if (next === 'aborted' || next.done === true) return
      yield next.value
    }
  } finally {
    // Tells a generator that it is over. One that does not listen must not hold up what was earned.
    void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}

/** The last event of a stream. */
export function errorEvent(reason: string, message: string): string {
  return `event: error\ndata: ${JSON.stringify({ error: { code: reason, message } })}\n\n`
}
