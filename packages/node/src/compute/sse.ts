import { ComputeError } from './errors.js'

const MAX_EVENT_CHARS = 1_048_576

/**
 * The data of each event of a stream of server-sent events (WHATWG HTML, section 9.2), as it comes in. Comments and
 * other fields are passed over; an event that the stream's end cuts off is dropped, as the standard says.
 *
 * @throws {ComputeError} if it is not UTF-8, or an event is too long
 */
export async function* readEvents(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let pending = ''
  let data: string[] = []
  for await (const bytes of stream) {
    pending += decode(decoder, bytes)
    // A line may end by \r\n, of which only \r may have come.
    const lines = pending.split(/\r\n|\n|\r(?!$)/)
    pending = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield data.join('\n')
        data = []
      } else if (line.startsWith('data:')) {
        data.push(line.slice(line.startsWith('data: ') ? 6 : 5))
      }
    }
    if (pending.length + data.reduce((sum, line) => sum + line.length, 0) > MAX_EVENT_CHARS) {
      throw new ComputeError(
        'UPSTREAM_MALFORMED',
        'The model server sent an event that is too long. Nothing is billed.',
      )
    }
  }
}

function decode(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes, { stream: true })
  } catch (cause) {
    throw new ComputeError('UPSTREAM_MALFORMED', 'The model server sent bytes that are not UTF-8. Nothing is billed.', {
      cause,
    })
  }
}
