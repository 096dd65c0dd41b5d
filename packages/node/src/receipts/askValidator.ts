import { type Hex, InvalidInputError, parseBytes, parseObject } from '@opg/protocol'

export type ValidatorAnswer =
  | { readonly status: 'signed'; readonly signature: Hex }
  /** `detail` is for the log: it quotes nothing that the validator sent. */
  | { readonly status: 'failed'; readonly detail: string }

/** An answer is one signature; more than this is none. */
const MAX_ANSWER_BYTES = 4_096
const SIGNATURE_BYTES = 65

const readAnswer = parseObject<{ readonly signature: Hex }>({
  signature: parseBytes({ min: SIGNATURE_BYTES, max: SIGNATURE_BYTES }),
})

/** Asks a validator for its signature. Whatever goes wrong is an answer too: it never rejects. */
export async function askValidator(
  url: string,
  options: { readonly body: string; readonly signal: AbortSignal; readonly fetch: typeof globalThis.fetch },
): Promise<ValidatorAnswer> {
  const { body, signal, fetch } = options
  try {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' })
    if (!response.ok) {
      await response.body?.cancel()
      return { status: 'failed', detail: `status ${String(response.status)}` }
    }
    const text = await readShort(response)
    if (text === undefined) return { status: 'failed', detail: 'an answer that is too long' }
    return { status: 'signed', ...readAnswer(JSON.parse(text), '') }
  } catch (error) {
    return { status: 'failed', detail: detailOf(error) }
  }
}

async function readShort({ body }: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function detailOf(error: unknown): string {
  if (error instanceof InvalidInputError || error instanceof SyntaxError) return 'an answer that holds no signature'
  const isTimeout = error instanceof DOMException && (error.name === 'TimeoutError' || error.name === 'AbortError')
  return isTimeout ? 'no answer in time' : 'no connection'
}
