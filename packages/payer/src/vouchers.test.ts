import { domainSeparator, recoverSigner, structDigest } from '@opg/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FEE, FakeNode, sendJson } from '../test/support/fakeNode.js'
import {
  AGAINST,
  ESCROW,
  NOW,
  ORDER,
  ORDER_ID,
  TERMS,
  addressOf,
  asHex,
  openBook,
  requesterWallet,
  signRequest,
  strangerWallet,
} from '../test/support/world.js'
import { type SessionOptions, createSession } from './createSession.js'
import { memoryReceiptLog } from './receiptLog.js'
import { openReceiptBook } from './receiptBook.js'
import type { Session } from './session.js'
import { signVoucher } from './signVoucher.js'

let node: FakeNode

beforeEach(async () => {
  node = await FakeNode.start({ vouchers: true })
})
afterEach(async () => {
  await node.stop()
})

async function open(change: Partial<SessionOptions> = {}): Promise<Session> {
  const opened = await createSession({
    nodeUrl: node.url,
    fetch,
    requester: requesterWallet,
    book: await openBook(),
    now: () => NOW,
    vouchers: true,
    timeoutMs: 2_000,
    backoffMs: 1,
    ...change,
  })
  if (opened.status === 'refused') throw new TypeError(opened.detail)
  return opened.session
}

const vouched = (): bigint => node.vouchers.get(ORDER_ID)?.voucher.maxCumulativeFee ?? 0n

describe('a session with vouchers', () => {
  it('signs with each request for what was billed and what this one may cost', async () => {
    const session = await open()
    for (const [maxFee, total] of [
      [100n, 100n],
      [100n, FEE + 100n],
      [10n, FEE + 100n], // the second cost less than it might have: its voucher is still the highest
      [500n, 3n * FEE + 500n],
    ] as const) {
      expect(await session.infer({}, { maxFee })).toMatchObject({ status: 'answered' })
      expect(vouched()).toBe(total)
      expect(session.book.vouched).toBe(total)
    }
    const kept = node.vouchers.get(ORDER_ID)
    if (kept === undefined) throw new TypeError('no voucher')
    const digest = structDigest(domainSeparator(ESCROW), { name: 'Voucher', value: kept.voucher })
    expect(recoverSigner(digest, kept.signature)).toBe(addressOf(requesterWallet))
    expect(kept.voucher).toMatchObject({ orderId: ORDER_ID, node: TERMS.node })
  })

  it('signs none where the order’s verifier asks for none, and a node that wants one refuses', async () => {
    const session = await open({ vouchers: false })
    expect(await session.infer({}, { maxFee: FEE })).toMatchObject({ by: 'node', reason: 'VOUCHER_TOO_LOW' })
    expect(session.book.vouched).toBe(0n)
  })

  it('calls at the same time: no voucher is above the limit, nor above what all calls under way may cost', async () => {
    const session = await open({ limits: { maxTotal: 5n * FEE } })
    const answers = await Promise.all(Array.from({ length: 20 }, () => session.infer({}, { maxFee: FEE })))
    expect(answers.filter(({ status }) => status === 'answered')).toHaveLength(5)
    expect(vouched()).toBe(5n * FEE)
    expect(session.book.audit()).toMatchObject({ receipts: 5, spent: 5n * FEE, frauds: [] })
  })

  it('a call that is still being written down counts once', async () => {
    const log = memoryReceiptLog()
    const waiting: (() => void)[] = []
    let isSlow = false
    const append = async (line: string): Promise<void> => {
      if (isSlow) await new Promise<void>((resolve) => waiting.push(resolve))
      await log.append(line)
    }
    const book = await openReceiptBook({ ...AGAINST, log: { ...log, append } })
    const session = await open({ book })
    isSlow = true
    const first = session.prepare('/v1/infer', { body: {}, maxFee: FEE })
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve))
    const second = session.prepare('/v1/infer', { body: {}, maxFee: FEE })
    while (book.vouched < 2n * FEE) await new Promise((resolve) => setImmediate(resolve))
    isSlow = false
    waiting.forEach((resolve) => {
      resolve()
    })
    expect(await first).toMatchObject({ call: { voucher: { voucher: { maxCumulativeFee: FEE } } } })
    expect(await second).toMatchObject({ call: { voucher: { voucher: { maxCumulativeFee: 2n * FEE } } } })
  })

  it('voucher asked for more than was agreed: nothing more is signed than the request may cost', async () => {
    const session = await open()
    node.attack = (_, { response }) => {
      const error = { code: 'VOUCHER_TOO_LOW', message: 'Sign for all of it.', needed: ORDER.amount.toString() }
      sendJson(response, { error }, 402)
      return undefined
    }
    expect(await session.infer({}, { maxFee: FEE })).toEqual({
      status: 'refused',
      by: 'node',
      reason: 'VOUCHER_TOO_LOW',
      detail: 'Sign for all of it.',
    })
    // Nothing was billed, so the next one allows no more than the first did.
    await session.infer({}, { maxFee: FEE })
    expect(session.book.vouched).toBe(FEE)
    expect(vouched()).toBe(FEE)
  })

  it('never signs for more than the order holds, to the unit', async () => {
    const session = await open()
    expect(await session.infer({}, { maxFee: ORDER.amount + 1n })).toMatchObject({ reason: 'ORDER_EXHAUSTED' })
    expect(session.book.vouched).toBe(0n)
    await session.infer({}, { maxFee: ORDER.amount })
    expect(session.book.vouched).toBe(ORDER.amount)
  })

  it('sends the same voucher again with the same call', async () => {
    const headers: unknown[] = []
    node.attack = (answer, { request, response, attempt }) => {
      headers.push(request.headers['x-opg-voucher'])
      if (attempt > 1) return answer
      response.destroy()
      return undefined
    }
    const session = await open()
    await session.infer({}, { maxFee: FEE })
    expect(headers).toHaveLength(2)
    expect(new Set(headers).size).toBe(1)
  })

  it('knows after a restart what the node holds', async () => {
    const log = memoryReceiptLog()
    const session = await open({ book: await openBook(log) })
    await session.infer({}, { maxFee: 77n })
    expect((await openBook(log)).vouched).toBe(77n)
  })

  it('refuses a requester that is a wallet, whose vouchers no verifier would take', async () => {
    const wallet = Object.assign(Object.create(requesterWallet) as typeof requesterWallet, {
      signTypedData: () => Promise.resolve(`0x${'5a'.repeat(300)}`),
    })
    const session = await open({ requester: wallet })
    await expect(session.infer({}, { maxFee: FEE })).rejects.toMatchObject({ field: 'requester' })
    expect(node.arrived).toEqual([])
    const voucher = { orderId: ORDER_ID, node: TERMS.node, maxCumulativeFee: 1n }
    const options = { escrow: ESCROW, requester: addressOf(requesterWallet), voucher }
    await expect(signVoucher(strangerWallet, options)).rejects.toMatchObject({ field: 'requester' })
  })

  it('keeps no voucher of another order or node', async () => {
    const book = await openBook()
    const request = await signRequest({ index: 0n })
    const voucher = { orderId: ORDER_ID, node: TERMS.node, maxCumulativeFee: 1n }
    const signature = asHex(`0x${'11'.repeat(65)}`)
    const elsewhere = { voucher: { ...voucher, orderId: asHex(`0x${'01'.repeat(32)}`) }, signature }
    await expect(book.noteRequest(request, elsewhere)).rejects.toMatchObject({ field: 'voucher.orderId' })
    const other = { voucher: { ...voucher, node: ORDER.payer }, signature }
    await expect(book.noteRequest(request, other)).rejects.toMatchObject({ field: 'voucher.node' })
    expect(book.audit().open).toEqual([])
  })
})
