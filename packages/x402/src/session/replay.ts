import { readAnswer } from './sellerAnswer.js'

/** What an `onAfterVerify` hook of x402 says to answer without the handler, or not to answer. */
type Directive =
  | { readonly skipHandler: true; readonly response: { readonly contentType: string; readonly body: unknown } }
  | { readonly abort: true; readonly reason: string; readonly message: string }

/** The stored answer of a request that was answered before, as x402's adapters can send it byte for byte. */
export function replayOf(stored: unknown): Directive | undefined {
  if (stored === undefined) return undefined
  const { body, contentType } = readAnswer(stored)
  const text = Buffer.from(body).toString('utf8')
  if (/^text\/html\b/i.test(contentType)) return { skipHandler: true, response: { contentType, body: text } }
  const json = jsonOf(text)
  // Adapters write anything else through JSON.stringify, and a receipt covers the bytes.
  if (JSON.stringify(json) === text) return { skipHandler: true, response: { contentType, body: json } }
  const message = 'The request was answered and charged before, and its answer cannot be sent again on this way.'
  return { abort: true, reason: 'request_answered', message }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
