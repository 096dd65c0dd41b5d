import { describe, expect, it } from 'vitest'
import { SILENT } from '@opg/operator'
import type { AddressInfo } from 'node:net'
import { createHash } from 'node:crypto'
import { createNodeServer } from '../../src/http/server.js'
import { createOnnxBackend } from '../../src/compute/onnxBackend.js'
import { fakeService } from '../fakeService.js'
import { elementwiseModel } from '../smallModels.js'
import { INFO, MODEL_ID, useTestServer } from './testServer.js'

const OPG = 10n ** 18n

/** Every element by tag, attribute and text, as a browser would see them. Stray angle brackets are an error. */
function elementsOf(
  html: string,
): readonly { readonly tag: string; readonly attributes: string; readonly text: string }[] {
  const pieces = [...html.matchAll(/<(\/?[a-z!][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"<>]*")?)*)\s*>([^<>]*)/gi)]
  expect(pieces.map(([piece]) => piece).join('')).toBe(html)
  return pieces.map(([, tag = '', attributes = '', text = '']) => ({ tag: tag.toLowerCase(), attributes, text }))
}

function unescape(text: string): string {
  return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
}

describe('GET /', () => {
  const server = useTestServer()

  it('tells a person what is sold, for how much, and by whom, and loads nothing', async () => {
    const response = await fetch(server.url, { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const html = await response.text()
    const elements = elementsOf(html.replace(/<style>[^<]*<\/style>/, ''))
    expect(elements.filter(({ tag }) => ['script', 'link', 'img', 'iframe', 'form'].includes(tag))).toEqual([])
    expect(elements.filter(({ attributes }) => /\s(on[a-z]+|src|style)=/.test(attributes))).toEqual([])
    const cells = elements.filter(({ tag }) => tag === 'code').map(({ text }) => text)
    expect(cells).toEqual(expect.arrayContaining(['mirror', 'POST /v1/infer', 'chat', INFO.node, '31337', INFO.escrow]))
    const prices = elements.filter(({ attributes }) => attributes.includes('class="n"')).map(({ text }) => text)
    expect(prices).toEqual(expect.arrayContaining(['0.0000000000000001', '0.000000000001']))
  })

  it('lets no script run: the policy allows its one style and nothing else', async () => {
    const response = await fetch(server.url)
    const policy = response.headers.get('content-security-policy') ?? ''
    const [, style = ''] = /<style>([^<]*)<\/style>/.exec(await response.text()) ?? []
    const hash = createHash('sha256').update(style).digest('base64')
    expect(policy).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    )
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('gives JSON to who asks for it', async () => {
    const response = await fetch(server.url, { headers: { accept: 'application/json' } })
    expect(await response.json()).toEqual(await (await fetch(`${server.url}/v1/info`)).json())
    expect(response.headers.get('vary')).toBe('accept')
  })

  it('model name that is a script: shown as the text that it is', async () => {
    const name = `</code><script>alert(1)</script><img src=x onerror='alert("2")'>&lt;`
    const prices = { perRequest: OPG, inputPerMillion: 0n, outputPerMillion: 0n }
    const backend = await createOnnxBackend({
      model: { name, modelId: MODEL_ID, prices },
      onnx: elementwiseModel('float'),
    })
    const app = createNodeServer({
      service: fakeService(),
      books: { order: () => Promise.resolve(undefined), receipts: () => Promise.resolve([]) },
      backends: [backend],
      info: { ...INFO, verifiers: [] },
      logger: SILENT,
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const html = await (await fetch(`http://127.0.0.1:${String((app.server.address() as AddressInfo).port)}/`)).text()
    await app.close()
    await backend.close()
    const elements = elementsOf(html.replace(/<style>[^<]*<\/style>/, ''))
    expect(elements.filter(({ tag }) => tag === 'script' || tag === 'img')).toEqual([])
    expect(elements.map(({ text }) => unescape(text))).toContain(name)
  })
})
