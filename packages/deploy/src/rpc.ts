import { RpcError } from './errors.js'

/** EIP-1193, as far as it is needed here. */
export interface Rpc {
  request(call: { readonly method: string; readonly params?: readonly unknown[] | object }): Promise<unknown>
}

interface Answer {
  readonly result?: unknown
  readonly error?: { readonly message?: unknown; readonly data?: unknown } | null
}

const TIMEOUT_MS = 30_000

/** JSON-RPC over HTTP. Errors name the host only: paths of RPC URLs often hold keys (N8). */
export function httpRpc(url: string): Rpc {
  const { host } = new URL(url)
  let id = 0
  return {
    async request({ method, params = [] }) {
      const fail = (reason: string, more?: { readonly data?: unknown; readonly cause?: unknown }): RpcError =>
        new RpcError({ method, host, reason, data: more?.data }, { cause: more?.cause })
      id += 1
      let response: Response
      let text: string
      try {
        response = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
          signal: AbortSignal.timeout(TIMEOUT_MS),
        })
        text = await response.text()
      } catch (cause) {
        throw fail('the endpoint cannot be reached. Check the RPC URL and the network.', { cause })
      }
      const answer = parseAnswer(text)
      if (answer === undefined) throw fail(`the endpoint answered HTTP ${String(response.status)} without JSON-RPC.`)
      if (answer.error !== undefined && answer.error !== null)
        throw fail(String(answer.error.message), { data: answer.error.data })
      return answer.result
    },
  }
}

function parseAnswer(text: string): Answer | undefined {
  try {
    const answer: unknown = JSON.parse(text)
    const isAnswer = typeof answer === 'object' && answer !== null && ('result' in answer || 'error' in answer)
    return isAnswer ? (answer as Answer) : undefined
  } catch {
    return undefined
  }
}
