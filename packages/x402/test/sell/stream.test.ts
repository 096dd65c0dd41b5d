import { decodeReceiptEvent, responseHash } from '@opg/protocol'
import express from 'express'
import { Hono } from 'hono'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  streamPaid,
  streamPaidFetch,
  type EscrowUptoOptions,
  type PaidPiece,
  type PaidStream,
} from '../../src/index.js'
import { SellWorld, refusal, settled, until } from './support/world.js'

const POST = { method: 'POST' } as const
const PRICE = '0.05 OPG'
const FEE = 1_000_000n

/** Words with a fee each, as fast as `gate` lets them. */
interface Script {
  readonly words: readonly string[]
  /** Words that may leave. */
  allowed: number
  made: number
  failsAt?: number
  stream?: PaidStream
}

async function* speak(script: Script, stream: PaidStream): AsyncGenerator<PaidPiece> {
  script.stream = stream
  for (const [i, word] of script.words.entries()) {
    while (script.allowed <= i && !stream.signal.aborted) await wait(5)
    if (stream.signal.aborted) return
    if (script.failsAt === i) throw new Error('by the handler')
    script.made = i + 1
    yield { data: `data: ${word}\n\n`, fee: FEE * BigInt(i + 1) }
  }
}

const script = (...words: string[]): Script => ({ words, allowed: words.length, made: 0 })

describe.each(['express', 'hono'] as const)('selling a stream with %s', (kind) => {
  let world: SellWorld
  beforeAll(async () => {
    world = await SellWorld.start()
  })
  afterEach(async () => {
    world.line.moods.lock = 'well'
    world.line.moods.capture = 'well'
    await world.untilAllClosed()
    await world.stopSellers()
  })
  afterAll(() => world.stop())

  async function open(said: Script, options: Partial<EscrowUptoOptions> = {}): Promise<string> {
    const seller = await world.seller(options)
    if (kind === 'express') {
      const app = express()
      app.post(
        '/chat',
        streamPaid(seller, PRICE, (_request, stream) => speak(said, stream)),
      )
      return `${await world.serve(app)}/chat`
    }
    const app = new Hono()
    const sell = streamPaidFetch(seller, PRICE, (_request, stream) => speak(said, stream))
    app.post('/chat', (c) => sell(c.req.raw))
    return `${await world.serve(app)}/chat`
  }

  it('sends each piece at once through stock fetch, and the receipt last', async () => {
    const said = script('one', 'two', 'three')
    said.allowed = 0
    const url = await open(said)
    const before = await world.money()
    const answered = world.payFetch(url, POST)
    // The head goes with the first piece in express, and before it in hono.
    await until(() => said.stream !== undefined, 'the handler runs')
    said.allowed = 1
    const response = await answered
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const reader = (response.body ?? expect.fail('no body')).getReader()
    const read = async (): Promise<string> => Buffer.from((await reader.read()).value ?? []).toString()
    expect(await read()).toBe('data: one\n\n')
    expect(said.made).toBe(1)
    said.allowed = 2
    expect(await read()).toBe('data: two\n\n')
    said.allowed = 3
    let rest = ''
    for (let part = await read(); part !== ''; part = await read()) rest += part
    const [last, event] = rest.split('event: receipt\n')
    expect(last).toBe('data: three\n\n')
    const { receipt } = decodeReceiptEvent(event?.replace(/^data: /, '').trim() ?? '')
    expect(receipt.fee).toBe(3n * FEE)
    expect(receipt.responseHash).toBe(responseHash(Buffer.from('data: one\n\ndata: two\n\ndata: three\n\n')))
    expect(said.stream?.cap).toBe(5n * 10n ** 16n)
    await world.untilPaid(before, 3n * FEE)
  })

  it('charges a client that leaves for what it was sent, at most', async () => {
    const said = script('one', 'two', 'three', 'four')
    said.allowed = 2
    const url = await open(said)
    const before = await world.money()
    const abort = new AbortController()
    const response = await world.send(url, await world.sign(url, POST), { ...POST, signal: abort.signal })
    const reader = (response.body ?? expect.fail('no body')).getReader()
    await reader.read()
    await until(() => said.made === 2, 'two words are out')
    abort.abort()
    await until(() => said.stream?.signal.aborted === true, 'the handler is told')
    said.allowed = 4
    await until(async () => (await world.money()).earned > before.earned, 'the node was paid')
    const paid = before.payer - (await world.money()).payer
    expect([FEE, 2n * FEE]).toContain(paid)
    expect(said.made).toBe(2)
  })

  it('gives all back to a client that leaves before the first piece', async () => {
    const said = script('one')
    said.allowed = 0
    const url = await open(said)
    const before = await world.money()
    const abort = new AbortController()
    const answered = world.send(url, await world.sign(url, POST), { ...POST, signal: abort.signal })
    const ended = answered.then((response) => response.text()).catch(() => 'broken')
    await until(() => said.stream !== undefined, 'the handler runs')
    abort.abort()
    expect(await ended).toBe('broken')
    await world.untilGivenBack(before)
    expect(said.made).toBe(0)
  })

  it('computes nothing for a client that left during the lock', async () => {
    const said = script('one')
    const url = await open(said)
    const payment = await world.sign(url, POST)
    const [before, opened] = [await world.money(), await world.opened()]
    world.line.moods.lock = 'held'
    const asked = world.line.asked.length
    const abort = new AbortController()
    const answered = world.send(url, payment, { ...POST, signal: abort.signal })
    await until(() => world.line.asked.length > asked, 'the lock was asked for')
    abort.abort()
    await expect(answered).rejects.toThrow()
    world.line.moods.lock = 'well'
    await until(async () => (await world.opened()) === opened + 1, 'the order is open')
    await world.untilGivenBack(before)
    expect(said.made).toBe(0)
  })

  it.each([0, 1])('gives all back where the handler fails at piece %i', async (failsAt) => {
    const said = script('one', 'two')
    said.failsAt = failsAt
    const url = await open(said)
    const before = await world.money()
    const response = await world.payFetch(url, POST)
    const body = await response.text()
    if (response.status === 200) expect(body).toContain('event: error\ndata: {"error":{"code":"handler_failed"')
    else expect([response.status, settled(response).response.amount]).toEqual([500, '0'])
    expect(body).not.toContain('receipt')
    await world.untilGivenBack(before)
  })

  it('never charges above the cap, nor less for a fee that falls', async () => {
    const before = await world.money()
    const huge = FEE * 10n ** 30n
    const seller = await world.seller()
    const app = express()
    app.post(
      '/chat',
      streamPaid(seller, PRICE, async function* () {
        yield await Promise.resolve({ data: 'data: dear\n\n', fee: huge })
        yield { data: 'data: cheap\n\n', fee: 1n }
      }),
    )
    const response = await world.payFetch(`${await world.serve(app)}/chat`, POST)
    expect(await response.text()).toContain('event: receipt')
    await world.untilPaid(before, 5n * 10n ** 16n)
  })

  it('is cut off, and paid, before its order is over', async () => {
    const said = script('one', 'two')
    said.allowed = 1
    // From 120 seconds on, less the margins, some seconds are left beyond the payer's own deadline.
    const url = await open(said, { limits: { claimMarginMs: 3_600_000 + 300_000 - 8_000 } })
    const before = await world.money()
    const response = await world.payFetch(url, POST)
    const body = await response.text()
    expect(body).toMatch(/^data: one\n\nevent: receipt\n/)
    expect(said.made).toBe(1)
    await world.untilPaid(before, FEE)
  })

  it('refuses a payment that was used, and one without money', async () => {
    const said = script('one')
    const url = await open(said)
    const payment = await world.sign(url, POST)
    expect((await world.send(url, payment, POST)).status).toBe(200)
    const replay = await world.send(url, payment, POST)
    expect([replay.status, refusal(replay)]).toEqual([402, 'payment_already_used'])
    const unpaid = await fetch(url, POST)
    expect(unpaid.status).toBe(402)
    expect(unpaid.headers.get('payment-required')).not.toBeNull()
  })

  it('answers though the facilitator cannot take the capture now', async () => {
    const said = script('one')
    const url = await open(said, { limits: { captureWaitMs: 200 } })
    const before = await world.money()
    world.line.moods.capture = 'broken'
    const response = await world.payFetch(url, POST)
    expect(await response.text()).toContain('event: receipt')
    world.line.moods.capture = 'well'
    await world.untilPaid(before, FEE)
  })
})
