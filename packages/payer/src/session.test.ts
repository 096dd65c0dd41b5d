import { gzipSync } from 'node:zlib'
import { encodeReceiptEvent, requestId } from '@opg/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Attack, FakeNode, sendJson } from '../test/support/fakeNode.js'
import { NOW, ORDER, openBook, requesterWallet, signReceipt, strangerWallet } from '../test/support/world.js'
import type { StreamEvent } from './call.js'
import { type SessionOptions, createSession } from './createSession.js'
import { NodeUnavailableError, StreamInterruptedError } from './errors.js'
import type { Session } from './session.js'
import { syncReceipts } from './syncReceipts.js'

const QUICK = { timeoutMs: 300, backoffMs: 1, maxAnswerBytes: 4_096 }
let node: FakeNode

beforeEach(async () => {
  node = await FakeNode.start()
})
afterEach(async () => {
  await node.stop()
})

async function open(change: Partial<SessionOptions> = {}): Promise<Session> {
  const book = await openBook()
  const opened = await createSession({
    nodeUrl: node.url,
    fetch,
    requester: requesterWallet,
    book,
    now: () => NOW,
    ...QUICK,
    ...change,
  })
  if (opened.status === 'refused') throw new TypeError(opened.detail)
  return opened.session
}

async function all(events: AsyncIterable<StreamEvent>): Promise<StreamEvent[]> {
  const list: StreamEvent[] = []
  for await (const event of events) list.push(event)
  return list
}

describe('createSession', () => {
  it('hands in the order again while the node does not see it open, and reports a refusal', async () => {
    const refusal = { error: { code: 'ORDER_NOT_OPEN', message: 'Not open.' } }
    node.onOrder = (response, attempt) => {
      sendJson(response, attempt < 3 ? refusal : { orderId: node.receipts.length }, attempt < 3 ? 409 : 200)
    }
    await expect(open()).rejects.toMatchObject({ code: 'NODE_ANSWER_INVALID', field: 'orderId' })
    node.onOrder = (response) => {
      sendJson(response, { error: { code: 'SHARE_TOO_LOW', message: 'Too low.' } }, 402)
    }
    const book = await openBook()
    const opened = await createSession({
      nodeUrl: node.url,
      fetch,
      requester: requesterWallet,
      book,
      now: () => NOW,
      ...QUICK,
    })
    expect(opened).toEqual({ status: 'refused', by: 'node', reason: 'SHARE_TOO_LOW', detail: 'Too low.' })
  })

  it.each([
    ['a signer that is not the requester', { requester: strangerWallet }, { code: 'SIGNER_MISMATCH' }],
    ['a URL with a path', { nodeUrl: 'http://127.0.0.1/node' }, { field: 'nodeUrl' }],
    ['another protocol', { nodeUrl: 'file:///etc/passwd' }, { field: 'nodeUrl' }],
    ['a URL that carries a password', { nodeUrl: 'http://a:b@127.0.0.1' }, { field: 'nodeUrl' }],
    ['a negative limit', { limits: { maxTotal: -1n } }, { field: 'limits.maxTotal' }],
    ['no attempts', { attempts: 0 }, { field: 'attempts' }],
  ])('refuses %s', async (_, change, expected) => {
    await expect(open(change)).rejects.toMatchObject(expected)
  })
})

describe('infer', () => {
  it('verifies the answer and keeps the receipt', async () => {
    const session = await open()
    const answer = await session.infer({ model: 'm' }, { maxFee: 10n })
    expect(answer).toMatchObject({ status: 'answered', json: { asked: 0 } })
    expect(session.book.audit()).toMatchObject({ receipts: 1, spent: 10n, reserved: 0n, open: [], frauds: [] })
  })

  it('asks what the call may cost where nobody says it', async () => {
    const session = await open()
    await session.infer({ model: 'm' })
    expect(node.receipts).toHaveLength(1)
    expect(await session.quote('/v1/infer', { model: 'm' })).toBe(25n)
    const strict = await open({ limits: { maxFeePerRequest: 24n } })
    expect(await strict.infer({ model: 'm' })).toMatchObject({ by: 'limits', reason: 'OVER_REQUEST_LIMIT' })
  })

  it('gives calls at the same time different indexes, and never more money than there is', async () => {
    const session = await open({ limits: { maxTotal: 50n } })
    const answers = await Promise.all(Array.from({ length: 20 }, () => session.infer({ model: 'm' }, { maxFee: 10n })))
    const answered = answers.flatMap((answer) => (answer.status === 'answered' ? [answer.json] : []))
    expect(new Set(answered.map((json) => JSON.stringify(json))).size).toBe(5)
    expect(
      answers.filter((answer) => answer.status === 'refused' && answer.reason === 'OVER_TOTAL_LIMIT'),
    ).toHaveLength(15)
    expect(session.book.audit()).toMatchObject({ receipts: 5, spent: 50n, frauds: [] })
  })

  it('never signs for more than the order holds, to the unit', async () => {
    const session = await open()
    expect(await session.infer({}, { maxFee: ORDER.amount + 1n })).toMatchObject({ reason: 'ORDER_EXHAUSTED' })
    expect(await session.infer({}, { maxFee: ORDER.amount })).toMatchObject({ status: 'answered' })
    expect(await session.infer({}, { maxFee: ORDER.amount })).toMatchObject({ reason: 'ORDER_EXHAUSTED' })
  })

  it.each([
    [-1, 'answered'],
    [0, 'refused'],
    [1, 'refused'],
  ])('at claimBy %i s it is %s', async (shift, status) => {
    const session = await open({ now: () => ORDER.claimBy + shift })
    expect(await session.infer({}, { maxFee: 10n })).toMatchObject({ status })
  })

  it.each([[-1n], [2n ** 96n], [0.5], ['10']])('refuses a maxFee of %s', async (maxFee) => {
    const session = await open()
    await expect(session.infer({}, { maxFee: maxFee as bigint })).rejects.toMatchObject({ field: 'maxFee' })
    expect(node.arrived).toEqual([])
  })

  it('sends the same bytes again after 503, a cut connection and silence, and pays once', async () => {
    node.attack = (answer, { response, attempt }) => {
      if (attempt === 1) sendJson(response, { error: { code: 'UNAVAILABLE', message: 'Later.' } }, 503)
      else if (attempt === 2) response.destroy()
      else if (attempt > 3) return answer
      return undefined
    }
    const session = await open()
    expect(await session.infer({ model: 'm' }, { maxFee: 10n })).toMatchObject({ status: 'answered' })
    expect(node.arrived).toHaveLength(4)
    expect(new Set(node.arrived).size).toBe(1)
    expect(session.book.audit()).toMatchObject({ receipts: 1, spent: 10n })
  })

  it('gives up with the call in hand, which may be sent later', async () => {
    node.attack = (_, { response }) => {
      response.destroy()
      return undefined
    }
    const session = await open({ attempts: 2 })
    const error: unknown = await session.infer({}, { maxFee: 10n }).catch((thrown: unknown) => thrown)
    if (!(error instanceof NodeUnavailableError) || error.call === undefined) throw new TypeError('no call')
    expect(session.book.audit()).toMatchObject({ reserved: 10n, open: [error.call.requestId] })
    node.attack = (answer) => answer
    expect(await session.send(error.call)).toMatchObject({ status: 'answered' })
    expect(node.receipts).toHaveLength(1)
  })

  it('fetches the receipt of an answer that never arrived', async () => {
    const session = await open({ attempts: 1 })
    for (let i = 0; i < 3; i++) await session.infer({}, { maxFee: 10n })
    node.attack = (_, { response }) => {
      response.destroy()
      return undefined
    }
    await expect(session.infer({}, { maxFee: 10n })).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' })
    expect(await syncReceipts(session.book, { nodeUrl: node.url, fetch, ...QUICK })).toEqual({ kept: 1, frauds: [] })
    expect(session.book.audit()).toMatchObject({ receipts: 4, open: [], reserved: 0n })
  })

  it('frees the money of a request that the node refuses', async () => {
    node.attack = (_, { response }) => {
      sendJson(response, { error: { code: 'MAX_FEE_TOO_LOW', message: 'Too\u0000low\n' } }, 402)
      return undefined
    }
    const session = await open()
    const refused = await session.infer({}, { maxFee: 10n })
    expect(refused).toEqual({ status: 'refused', by: 'node', reason: 'MAX_FEE_TOO_LOW', detail: 'Too low ' })
    expect(session.book.audit()).toMatchObject({ reserved: 0n, open: [] })
  })
})

const JSON_TYPE = { 'content-type': 'application/json' }
const takeOver = (act: Parameters<Attack>[1] extends { response: infer R } ? (response: R) => void : never): Attack => {
  return (_, { response }) => {
    act(response)
    return undefined
  }
}

describe('a hostile node', () => {
  it.each<readonly [string, Attack, object]>([
    ['no receipt', (a) => ({ ...a, trailer: 'none' }), { code: 'NODE_ANSWER_INVALID', field: 'x-opg-receipt' }],
    [
      'a receipt that is not base64url',
      takeOver((response) => response.writeHead(200, { ...JSON_TYPE, 'x-opg-receipt': '{}' }).end('{}')),
      { code: 'NODE_ANSWER_INVALID', field: 'x-opg-receipt' },
    ],
    [
      'another answer than it signed',
      (a) => ({ ...a, body: Buffer.from('{"asked":9}') }),
      { field: 'receipt.responseHash' },
    ],
    [
      'a stranger’s receipt',
      (a) => ({ ...a, signed: signReceipt(a.signed.receipt, strangerWallet) }),
      { field: 'signature' },
    ],
    [
      'another order’s receipt',
      (a) => ({ ...a, signed: signReceipt({ ...a.signed.receipt, orderId: `0x${'01'.repeat(32)}` }) }),
      { code: 'RECEIPT_INVALID', field: 'receipt.orderId' },
    ],
    [
      'a fee over maxFee',
      (a) => ({ ...a, signed: signReceipt({ ...a.signed.receipt, fee: 11n, cumulativeFee: 11n }) }),
      { code: 'FRAUD_FOUND', proof: { kind: 'fee-over-max' } },
    ],
    [
      'a total that does not add up',
      (a) => ({ ...a, signed: signReceipt({ ...a.signed.receipt, cumulativeFee: 11n }) }),
      { code: 'FRAUD_FOUND', proof: { kind: 'cumulative-mismatch' } },
    ],
    [
      'a receipt for nobody’s request',
      (a) => ({ ...a, signed: signReceipt({ ...a.signed.receipt, requestId: `0x${'02'.repeat(32)}` }) }),
      { code: 'FRAUD_FOUND', proof: { kind: 'unrequested' } },
    ],
    ['a body over the limit', (a) => ({ ...a, body: Buffer.alloc(5_000, 0x20) }), { field: 'body', found: 'longer' }],
    ['HTML', (a) => ({ ...a, headers: { 'content-type': 'text/html' } }), { field: 'content-type' }],
    [
      'a compressed answer',
      (a) => ({ ...a, body: gzipSync(a.body), headers: { ...JSON_TYPE, 'content-encoding': 'gzip' } }),
      { field: 'content-encoding' },
    ],
    [
      'a redirect',
      takeOver((response) => response.writeHead(307, { location: '/v1/orders' }).end()),
      { field: 'status', found: '307' },
    ],
    ['an empty 204', takeOver((response) => response.writeHead(204).end()), { field: 'status', found: '204' }],
  ])('sends %s', async (_, attack, expected) => {
    node.attack = attack
    const session = await open()
    await expect(session.infer({}, { maxFee: 10n })).rejects.toMatchObject(expected)
  })

  it('sends bytes that are no JSON, honestly signed: the receipt stays, the answer is refused', async () => {
    const { responseHash } = await import('@opg/protocol')
    const body = Buffer.from('{"asked":')
    node.attack = (a) => ({
      ...a,
      body,
      signed: signReceipt({ ...a.signed.receipt, responseHash: responseHash(body) }),
    })
    const session = await open()
    await expect(session.infer({}, { maxFee: 10n })).rejects.toMatchObject({ field: 'body', expected: 'JSON in UTF-8' })
    expect(session.book.audit()).toMatchObject({ receipts: 1, spent: 10n })
  })

  it('drips bytes for ever: a whole answer has one time limit', async () => {
    node.attack = takeOver((response) => {
      response.writeHead(200, JSON_TYPE)
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => {
        clearInterval(timer)
      })
    })
    const session = await open({ attempts: 1, timeoutMs: 100 })
    await expect(session.infer({}, { maxFee: 10n })).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' })
  })

  it('refuses with an endless error body, which is cut', async () => {
    node.attack = takeOver((response) => {
      response.writeHead(402, JSON_TYPE)
      response.end(Buffer.alloc(1_000_000, 0x20))
    })
    const session = await open()
    expect(await session.infer({}, { maxFee: 10n })).toMatchObject({ status: 'refused', reason: 'HTTP_402' })
  })

  it('gets no further request once it was caught', async () => {
    node.attack = (a) => ({ ...a, signed: signReceipt({ ...a.signed.receipt, fee: 11n, cumulativeFee: 11n }) })
    const session = await open()
    await expect(session.infer({}, { maxFee: 10n })).rejects.toMatchObject({ code: 'FRAUD_FOUND' })
    await expect(session.infer({}, { maxFee: 10n })).rejects.toMatchObject({ code: 'FRAUD_FOUND' })
    expect(node.arrived).toHaveLength(1)
  })
})

describe('chatStream', () => {
  const chat = { model: 'm', messages: [] }

  async function stream(session: Session) {
    const streamed = await session.chatStream(chat, { maxFee: 10n })
    if (streamed.status === 'refused') throw new TypeError(streamed.detail)
    return streamed.events
  }

  it('gives the chunks as they come, and the verified receipt last', async () => {
    const session = await open()
    const events = await all(await stream(session))
    expect(events.map(({ type }) => type)).toEqual(['chunk', 'chunk', 'receipt'])
    expect(events[0]).toMatchObject({ json: { choices: [{ delta: { content: '4' } }] } })
    expect(events[1]).toEqual({ type: 'chunk', data: '[DONE]', json: undefined })
    expect(session.book.audit()).toMatchObject({ receipts: 1, frauds: [] })
  })

  it('puts pieces together wherever they are cut', async () => {
    node.attack = (answer, { response }) => {
      response.writeHead(200, answer.headers)
      const bytes = Buffer.concat([answer.body, Buffer.from(encodeReceiptEvent(answer.signed))])
      void (async () => {
        for (let i = 0; i < bytes.length; i += 7) {
          response.write(bytes.subarray(i, i + 7))
          await new Promise((resolve) => setImmediate(resolve))
        }
        response.end()
      })()
      return undefined
    }
    const session = await open()
    expect((await all(await stream(session))).map(({ type }) => type)).toEqual(['chunk', 'chunk', 'receipt'])
  })

  it('that breaks off names the call, which then gives the stored answer', async () => {
    node.attack = (answer, { response }) => {
      response.writeHead(200, answer.headers)
      response.write(answer.body, () => response.destroy())
      return undefined
    }
    const session = await open()
    const error: unknown = await all(await stream(session)).catch((thrown: unknown) => thrown)
    if (!(error instanceof StreamInterruptedError)) throw new TypeError('not interrupted')
    node.attack = (answer) => answer
    const answer = await session.send(error.call)
    expect(answer).toMatchObject({ status: 'answered', contentType: 'text/event-stream' })
    expect(session.book.audit()).toMatchObject({ receipts: 1, open: [] })
  })

  it.each<readonly [string, Attack, object]>([
    ['no receipt', (a) => ({ ...a, trailer: 'none' }), { code: 'STREAM_INTERRUPTED' }],
    [
      'an error event',
      (a) => ({
        ...a,
        body: Buffer.from('event: error\ndata: {"error":{"message":"The GPU burns."}}\n\n'),
        trailer: 'none',
      }),
      { code: 'STREAM_INTERRUPTED', message: expect.stringContaining('The GPU burns.') as unknown },
    ],
    [
      'chunks after the receipt',
      (a, { response }) => {
        response.writeHead(200, a.headers)
        response.end(`${a.body.toString()}${encodeReceiptEvent(a.signed)}data: more\n\n`)
        return undefined
      },
      { code: 'NODE_ANSWER_INVALID', field: 'stream' },
    ],
    [
      'other chunks than it signed',
      (a) => ({ ...a, body: Buffer.from('data: 5\n\n') }),
      { field: 'receipt.responseHash' },
    ],
    ['no stream', (a) => ({ ...a, headers: JSON_TYPE, trailer: 'header' }), { field: 'content-type' }],
    ['an endless stream', (a) => ({ ...a, body: Buffer.alloc(9_000, 0x0a) }), { field: 'body', found: 'longer' }],
  ])('refuses %s', async (_, attack, expected) => {
    node.attack = attack
    const session = await open()
    await expect(stream(session).then(all)).rejects.toMatchObject(expected)
  })

  it('ends the connection when its reader leaves', async () => {
    const closed = new Promise((resolve) => {
      node.attack = (answer, { response }) => {
        response.writeHead(200, answer.headers)
        response.write(answer.body)
        response.on('close', resolve)
        return undefined
      }
    })
    const session = await open({ timeoutMs: 60_000 })
    for await (const event of await stream(session)) {
      expect(event.type).toBe('chunk')
      break
    }
    await closed
    expect(session.book.audit().open).toHaveLength(1)
  })

  it('answers a call that is sent again after the receipt from what the node stored', async () => {
    const session = await open()
    const prepared = await session.prepare('/v1/infer', { body: {}, maxFee: 10n })
    if (prepared.status === 'refused') throw new TypeError(prepared.detail)
    await session.send(prepared.call)
    expect(await session.send(prepared.call)).toMatchObject({ status: 'answered' })
    expect(requestId(prepared.call.signed.request)).toBe(prepared.call.requestId)
    expect(session.book.audit()).toMatchObject({ receipts: 1, spent: 10n, frauds: [] })
  })
})
