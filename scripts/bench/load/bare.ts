import { createOnnxBackend } from '@opg/node'
import { ZERO_BYTES32 } from '@opg/protocol'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

// The bare handler: the node's model behind plain HTTP, with nothing to pay. Says its URL, and ends with its parent.
const MODEL = fileURLToPath(new URL('../../../packages/node/models/languages/languages.onnx', import.meta.url))
const prices = { perRequest: 0n, inputPerMillion: 0n, outputPerMillion: 0n }
const backend = await createOnnxBackend({
  onnx: await readFile(MODEL),
  model: { name: 'languages', modelId: ZERO_BYTES32, prices },
})

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await buffer(request)
  const call = backend.prepare(JSON.parse(body.toString()) as Record<string, unknown>, body.length)
  const chunks: Uint8Array[] = []
  const emit = (chunk: Uint8Array): Promise<void> => {
    chunks.push(chunk)
    return Promise.resolve()
  }
  const { contentType } = await call.run({ signal: new AbortController().signal, emit })
  response.writeHead(200, { 'content-type': contentType }).end(Buffer.concat(chunks))
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.writeHead(500).end())
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  console.log(JSON.stringify({ status: 'listening', url: `http://127.0.0.1:${String(port)}` }))
})
