/**
 * Runs work with a signal that is aborted when any of these is. Unlike `AbortSignal.any` it leaves nothing behind on
 * signals that live as long as the server.
 */
export async function withLinkedSignal<T>(
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const linked = new AbortController()
  const abort = (): void => {
    linked.abort()
  }
  for (const signal of signals) signal.addEventListener('abort', abort, { once: true })
  if (signals.some(({ aborted }) => aborted)) abort()
  try {
    return await work(linked.signal)
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort)
  }
}
