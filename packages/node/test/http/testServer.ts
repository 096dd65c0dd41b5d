import type { LogFields } from '@opg/operator'
import { EMPTY_TREE, ZERO_ADDRESS, ZERO_BYTES32, encodeRequestHeader } from '@opg/protocol'
import type { FastifyInstance } from 'fastify'
import { connect, type AddressInfo } from 'node:net'
import { afterEach, beforeEach } from 'vitest'
import { createOnnxBackend } from '../../src/compute/onnxBackend.js'
import { createOpenAiUpstream } from '../../src/compute/openAiUpstream.js'
import type { NodeInfo } from '../../src/http/info.js'
import type { PublicBooks } from '../../src/http/orderRoutes.js'
import { createNodeServer } from '../../src/http/server.js'
import { NODE, ORDER_ID, fakeService, receiptOf, type FakeService } from '../fakeService.js'
import { elementwiseModel } from '../smallModels.js'
import { startStandInLlm, type StandInLlm } from '../standInLlm.js'

export const SECRET = 'sk-very-secret'
export const MODEL_ID = `0x${'33'.repeat(32)}` as const
export const PRICES = { perRequest: 100n, inputPerMillion: 1_000_000n, outputPerMillion: 1_000_000n }
export const SIGNED = {
  request: { orderId: ORDER_ID, node: NODE, index: 0n, requestHash: ZERO_BYTES32, maxFee: 1n, expiresAt: 9 },
  signature: `0x${'02'.repeat(65)}`,
} as const
export const PAID = { 'content-type': 'application/json', 'x-opg-request': encodeRequestHeader(SIGNED) }
export const INFER = JSON.stringify({ model: 'mirror', input: { x: [1, 2] } })
export const CHAT = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'hi' }], max_tokens: 50 })
export const STREAM = JSON.stringify({ ...(JSON.parse(CHAT) as object), stream: true })

export const INFO: NodeInfo = {
  version: '0.0.0',
  chainId: 31337n,
  deploymentChainId: 31337n,
  escrow: NODE,
  token: NODE,
  node: NODE,
  verifiers: [
    { kind: 'key', address: NODE, evidenceKeys: [ZERO_BYTES32], receiptKey: { kind: 'ecdsa', address: NODE } },
  ],
  orders: { minAmount: 5n, minSecondsToClaimBy: 60, minNetNodeBps: 8000 },
}
const RECEIPTS = 250

/** Books with one order of many receipts. */
const BOOKS: PublicBooks = {
  order: (orderId) =>
    Promise.resolve(
      orderId !== ORDER_ID
        ? undefined
        : {
            orderId: ORDER_ID,
            termsHash: ZERO_BYTES32,
            terms: {
              node: NODE,
              facilitator: ZERO_ADDRESS,
              facilitatorBps: 0,
              verifier: NODE,
              evidenceKey: ZERO_BYTES32,
              modelId: MODEL_ID,
            },
            order: {
              payer: NODE,
              nonce: 1n,
              amount: 1000n,
              job: { requester: NODE, requestHash: ZERO_BYTES32 },
              claimBy: 99,
            },
            slice: undefined,
            voucher: undefined,
            networkBps: 0,
            royaltyBps: 0,
            chain: 'open',
            released: 3n,
            checkedAtMs: 0,
            closing: undefined,
            blocked: undefined,
            receiptCount: BigInt(RECEIPTS),
            cumulativeFee: 7n,
            tree: EMPTY_TREE,
            activeAtMs: 0,
            unsettledSinceMs: undefined,
            reserved: 11n,
            reservations: 1,
            inFlight: false,
          },
    ),
  receipts: (_, { from, limit }) =>
    Promise.resolve(
      Array.from({ length: Math.min(limit, RECEIPTS - Number(from)) }, (_, i) => {
        const { receipt, ...rest } = receiptOf(new Uint8Array(), 1n)
        return { ...rest, receipt: { ...receipt, seq: from + BigInt(i) } }
      }),
    ),
}

/** The HTTP layer over a steered core and a stand-in upstream, on a real port. Afresh for each test. */
export interface TestServer {
  readonly url: string
  readonly app: FastifyInstance
  readonly service: FakeService
  readonly llm: StandInLlm
  readonly logged: readonly { readonly fields: LogFields; readonly message: string }[]
  /** A POST of a paid request, unless other headers are given. */
  post(
    path: string,
    body: string | Uint8Array<ArrayBuffer>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Response>
  /** Sends these bytes and gives back what the connection carried until it was closed. */
  raw(request: string): Promise<string>
  isUp(): Promise<boolean>
}

interface Running {
  readonly url: string
  readonly app: FastifyInstance
  readonly service: FakeService
  readonly llm: StandInLlm
}

/** Call it within `describe`. */
export function useTestServer(): TestServer {
  const logged: { fields: LogFields; message: string }[] = []
  let running: Running | undefined
  const now = (): Running => {
    if (running === undefined) throw new TypeError('no test is running')
    return running
  }
  beforeEach(async () => {
    logged.length = 0
    running = await start((fields, message) => {
      logged.push({ fields, message })
    })
  })
  afterEach(async () => {
    const { app, llm } = now()
    app.server.closeAllConnections()
    await app.close()
    await llm.close()
  })
  return {
    get url() {
      return now().url
    },
    get app() {
      return now().app
    },
    get service() {
      return now().service
    },
    get llm() {
      return now().llm
    },
    logged,
    post: (path, body, headers = PAID) => fetch(`${now().url}${path}`, { method: 'POST', body, headers }),
    raw: (request) => sendRaw(Number(new URL(now().url).port), request),
    isUp: async () => (await fetch(`${now().url}/health`)).ok,
  }
}

async function start(log: (fields: LogFields, message: string) => void): Promise<Running> {
  const llm = await startStandInLlm()
  const service = fakeService()
  const mirror = await createOnnxBackend({
    model: { name: 'mirror', modelId: MODEL_ID, prices: PRICES },
    onnx: elementwiseModel('float'),
  })
  const chat = createOpenAiUpstream({
    model: { name: 'chat', modelId: MODEL_ID, prices: PRICES },
    upstreamModel: 'tiny',
    baseUrl: llm.baseUrl,
    apiKey: SECRET,
    idleTimeoutMs: 300,
    limits: { maxOutputTokens: 100 },
    fetch,
  })
  const app = createNodeServer({
    service,
    books: BOOKS,
    backends: [mirror, chat],
    info: INFO,
    logger: { info: log, warn: log, error: log },
    limits: { bodyBytes: 10_000, stallTimeoutMs: 200 },
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, service, llm, url: `http://127.0.0.1:${String((app.server.address() as AddressInfo).port)}` }
}

/** A paid request as it is on the wire. */
export function rawRequest(line: string, body: string, more = ''): string {
  const headers = Object.entries(PAID).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${line}\r\nhost: x\r\nconnection: close\r\n${headers.join('')}${more}content-length: ${String(body.length)}\r\n\r\n${body}`
}

/** What an error answer says. */
export async function errorOf(
  response: Response,
): Promise<{ readonly status: number; readonly code: unknown; readonly field: unknown; readonly message: unknown }> {
  const { error } = (await response.json()) as { error: Record<string, unknown> }
  return { status: response.status, code: error['code'], field: error['field'], message: error['message'] }
}

export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5))
}

function sendRaw(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    // Connections that the server would keep are closed from here.
    socket.setTimeout(1_000, () => socket.end())
    socket.on('data', (data) => (answer += data.toString()))
    socket.on('close', () => {
      resolve(answer)
    })
    socket.on('error', reject)
    socket.write(request)
  })
}
