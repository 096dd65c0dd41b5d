import { formatOpg, type PriceSheet } from '@opg/protocol'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { createHash } from 'node:crypto'
import type { ComputeBackend } from '../compute/backend.js'
import { infoBody, type NodeInfo } from './info.js'

export interface Page {
  readonly info: NodeInfo
  readonly backends: readonly ComputeBackend[]
  /** Whether stock x402 clients can pay here. */
  readonly takesUpto: boolean
}

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd;overflow-wrap:anywhere}
td.n{font-variant-numeric:tabular-nums}code{font-size:.9em;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}th,td{border-color:#444}}`

/** Nothing is loaded and nothing runs: the one style is named by its hash. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** `GET /`: for a person, what is sold here and how to pay. Programs that ask for JSON get what `/v1/info` says. */
export function pageRoute(app: FastifyInstance, page: Page): void {
  const html = pageOf(page)
  app.get('/', (request, reply) => {
    void reply.header('vary', 'accept').header('cache-control', 'no-cache')
    if (wantsJson(request)) return reply.send(infoBody(page.info, page.backends))
    return reply
      .header('content-security-policy', POLICY)
      .header('x-content-type-options', 'nosniff')
      .header('referrer-policy', 'no-referrer')
      .type('text/html; charset=utf-8')
      .send(html)
  })
}

/** Whether JSON is named, and the page is not. */
function wantsJson({ headers }: FastifyRequest): boolean {
  const accept = headers.accept ?? ''
  return accept.includes('application/json') && !accept.includes('text/html')
}

function pageOf({ info, backends, takesUpto }: Page): string {
  const models = backends.map(
    ({ path, model }) =>
      `<tr><td><code>${escape(model.name)}</code></td><td><code>POST ${escape(path)}</code></td>${pricesOf(model.prices)}</tr>`,
  )
  const verifiers = info.verifiers.map(
    ({ kind, address }) =>
      `<tr><th scope="row">verifier, ${escape(kind)}</th><td><code>${escape(address)}</code></td></tr>`,
  )
  const facts: readonly (readonly [string, string])[] = [
    ['node', info.node],
    ['chain', info.chainId.toString()],
    ['escrow', info.escrow],
    ['token', info.token],
  ]
  const rows = facts.map(
    ([name, value]) => `<tr><th scope="row">${name}</th><td><code>${escape(value)}</code></td></tr>`,
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>AI inference for OPG</title>
<style>${STYLE}</style>
</head>
<body>
<h1>AI inference for OPG</h1>
<table id="models">
<thead><tr><th>model</th><th>at</th><th>a request</th><th>a million input tokens</th><th>a million output tokens</th></tr></thead>
<tbody>
${models.join('\n')}
</tbody>
</table>
<p>Prices are in OPG. The money is locked before anything is computed, and what is not spent goes back.</p>
<p id="pay">${takesUpto ? 'To pay: send the request with any x402 client that knows <code>upto</code> or <code>work-order</code>.' : 'To pay: open an order on the escrow, and send the request with an x402 client that knows <code>work-order</code>.'}</p>
<table id="facts">
<tbody>
${[...rows, ...verifiers].join('\n')}
</tbody>
</table>
<p>For programs: <a href="/v1/info">/v1/info</a></p>
</body>
</html>
`
}

function pricesOf({ perRequest, inputPerMillion, outputPerMillion }: PriceSheet): string {
  return [perRequest, inputPerMillion, outputPerMillion]
    .map((price) => `<td class="n">${escape(formatOpg(price))}</td>`)
    .join('')
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${String(character.charCodeAt(0))};`)
}
