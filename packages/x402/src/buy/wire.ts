/** The connection failed: nothing is known of the call. */
export class WireError extends Error {
  readonly code = 'WIRE'
}

/** Marks failures of a connection as such. */
export async function onWire<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new WireError('the connection failed', { cause })
  }
}
