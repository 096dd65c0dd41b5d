import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type SignedReceipt, receiptLeaf, requestId, rootOfLeaves, verifyInclusion } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import {
  AGAINST,
  NOW,
  ORDER,
  ORDER_ID,
  addressOf,
  honestLedger,
  openBook,
  signReceipt,
  signRequest,
  strangerWallet,
} from '../test/support/world.js'
import type { SettledEvent } from './fetchSettlements.js'
import type { ReceiptBook } from './receiptBook.js'
import { fileReceiptLog, memoryReceiptLog } from './receiptLog.js'
import { verifyFraud } from './verifyFraud.js'

async function bookOf(fees: readonly bigint[], arrival?: readonly number[]) {
  const { requests, receipts } = await honestLedger(fees)
  const book = await openBook()
  for (const request of requests) await book.noteRequest(request)
  for (const i of arrival ?? fees.keys()) {
    const receipt = receipts[i]
    if (receipt !== undefined) await book.add(receipt)
  }
  return { book, requests, receipts }
}

/** A receipt as the node might have signed it instead. */
function altered(signed: SignedReceipt, change: Partial<SignedReceipt['receipt']>): SignedReceipt {
  return signReceipt({ ...signed.receipt, ...change })
}

function settled(receipts: readonly SignedReceipt[], change: Partial<SettledEvent> = {}): SettledEvent {
  return {
    orderId: ORDER_ID,
    cumulativeFee: receipts.at(-1)?.receipt.cumulativeFee ?? 0n,
    receiptsRoot: rootOfLeaves(receipts.map(({ receipt }) => receiptLeaf(receipt))),
    receiptCount: BigInt(receipts.length),
    refund: 0n,
    transactionHash: `0x${'77'.repeat(32)}`,
    ...change,
  }
}

async function expectFraud(book: ReceiptBook, signed: SignedReceipt, kind: string, verdict = 'proven'): Promise<void> {
  const entry = await book.add(signed)
  expect(entry).toMatchObject({ status: 'fraud', proof: { kind } })
  expect(book.firstFraud?.kind).toBe(kind)
  if (entry.status === 'fraud') expect(verifyFraud(entry.proof, AGAINST).status).toBe(verdict)
}

const fees = fc.array(fc.bigInt({ min: 0n, max: 100n }), { minLength: 1, maxLength: 8 })

describe('ReceiptBook', () => {
  it('finds nothing in an honest ledger, in whatever order its receipts arrive', async () => {
    await fc.assert(
      fc.asyncProperty(
        fees.chain((list) =>
          fc.tuple(fc.constant(list), fc.shuffledSubarray([...list.keys()], { minLength: list.length })),
        ),
        async ([list, arrival]) => {
          const { book, receipts } = await bookOf(list, arrival)
          const spent = list.reduce((sum, fee) => sum + fee, 0n)
          expect(book.audit()).toEqual({ receipts: list.length, spent, reserved: 0n, open: [], frauds: [] })
          expect(book.left).toBe(ORDER.amount - spent)
          expect(book.receipts()).toEqual(receipts)
          for (let count = 0; count <= list.length; count++) {
            expect(book.checkSettlement(settled(receipts.slice(0, count)))).toEqual({ status: 'consistent' })
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  it('catches a total that is shifted by one unit at any place, whatever arrives first, and proves it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fees.chain((list) =>
          fc.tuple(
            fc.constant(list),
            fc.shuffledSubarray([...list.keys()], { minLength: list.length }),
            fc.nat(list.length - 1),
            fc.constantFrom(-1n, 1n, 50n),
          ),
        ),
        async ([list, arrival, place, shift]) => {
          const { requests, receipts } = await honestLedger(list)
          const book = await openBook()
          for (const request of requests) await book.noteRequest(request)
          for (const i of arrival) {
            const honest = receipts[i]
            if (honest === undefined) continue
            const cumulativeFee = honest.receipt.cumulativeFee + (i === place ? shift : 0n)
            if (cumulativeFee < 0n) return
            await book.add(i === place ? altered(honest, { cumulativeFee }) : honest)
          }
          const [first] = book.audit().frauds
          expect(first?.kind).toBe('cumulative-mismatch')
          if (first !== undefined) expect(verifyFraud(first, AGAINST).status).toBe('proven')
        },
      ),
      { numRuns: 60 },
    )
  })

  it('two receipts with one seq', async () => {
    const { book, receipts } = await bookOf([5n, 5n])
    const [first] = receipts
    if (first === undefined) throw new TypeError('no receipt')
    expect(await book.add(first)).toEqual({ status: 'duplicate' })
    await expectFraud(book, altered(first, { timestamp: NOW + 1 }), 'two-receipts-one-seq')
  })

  it('one request billed twice', async () => {
    const { book, receipts } = await bookOf([5n, 5n])
    const last = receipts[1]
    if (last === undefined) throw new TypeError('no receipt')
    await expectFraud(book, altered(last, { seq: 2n, cumulativeFee: 15n }), 'request-charged-twice')
  })

  it('a fee over maxFee', async () => {
    const book = await openBook()
    const request = await signRequest({ index: 0n, maxFee: 9n })
    await book.noteRequest(request)
    const paid = { seq: 0n, requestId: requestId(request.request), fee: 10n, cumulativeFee: 10n }
    await expectFraud(book, signReceipt(paid), 'fee-over-max')
  })

  it('a total over the order', async () => {
    const book = await openBook()
    const request = await signRequest({ index: 0n, maxFee: ORDER.amount * 2n })
    await book.noteRequest(request)
    const fee = ORDER.amount + 1n
    const receipt = signReceipt({ seq: 0n, requestId: requestId(request.request), fee, cumulativeFee: fee })
    await expectFraud(book, receipt, 'over-amount')
  })

  it('a receipt for a request that nobody signed', async () => {
    const { book } = await bookOf([5n])
    const receipt = signReceipt({ seq: 1n, requestId: `0x${'99'.repeat(32)}`, fee: 5n, cumulativeFee: 10n })
    await expectFraud(book, receipt, 'unrequested', 'question')
  })

  it('a seq above the number of requests', async () => {
    const book = await openBook()
    const request = await signRequest({ index: 0n })
    await book.noteRequest(request)
    const seq = 2n ** 64n - 1n
    const receipt = signReceipt({ seq, requestId: requestId(request.request), fee: 1n, cumulativeFee: 1n })
    await expectFraud(book, receipt, 'seq-out-of-line', 'question')
  })

  it('a missing seq, once every request was answered or refused', async () => {
    const { book, requests } = await bookOf([5n, 5n, 5n], [0, 2])
    expect(book.audit().frauds).toEqual([])
    const middle = requests[1]
    if (middle === undefined) throw new TypeError('no request')
    await book.noteRefusal(requestId(middle.request))
    const [proof] = book.audit().frauds
    expect(proof).toMatchObject({ kind: 'seq-out-of-line', missing: [1n] })
  })

  it('refuses receipts that prove nothing: a stranger’s, another order’s, another node’s', async () => {
    const { book } = await bookOf([])
    const plain = { seq: 0n, requestId: ORDER_ID, fee: 0n, cumulativeFee: 0n }
    const invalid = (field: string): unknown => expect.objectContaining({ code: 'RECEIPT_INVALID', field })
    await expect(book.add(signReceipt(plain, strangerWallet))).rejects.toEqual(invalid('signature'))
    const elsewhere = signReceipt({ ...plain, orderId: `0x${'01'.repeat(32)}` })
    await expect(book.add(elsewhere)).rejects.toEqual(invalid('receipt.orderId'))
    const another = signReceipt({ ...plain, node: addressOf(strangerWallet) })
    await expect(book.add(another)).rejects.toEqual(invalid('receipt.node'))
    expect(book.receipts()).toEqual([])
  })

  it('counts what open requests may cost, and frees what was refused', async () => {
    const book = await openBook()
    const request = await signRequest({ index: 0n, maxFee: 40n })
    await book.noteRequest(request)
    await book.noteRequest(request)
    expect([book.reserved, book.left]).toEqual([40n, ORDER.amount - 40n])
    await book.noteRefusal(requestId(request.request))
    expect([book.reserved, book.left]).toEqual([0n, ORDER.amount])
    await expect(book.noteRequest(await signRequest({ index: 0n, maxFee: 41n }))).rejects.toMatchObject({
      field: 'request.index',
    })
  })
})

describe('checkSettlement', () => {
  it('a settlement above its last receipt', async () => {
    const { book, receipts } = await bookOf([5n, 6n])
    const check = book.checkSettlement(settled(receipts, { cumulativeFee: 12n }))
    expect(check).toMatchObject({ status: 'fraud', proof: { kind: 'settlement-above-receipt' } })
    if (check.status === 'fraud') expect(verifyFraud(check.proof, AGAINST).status).toBe('proven')
  })

  it('a settlement without receipts that takes a fee', async () => {
    const { book } = await bookOf([])
    const check = book.checkSettlement(settled([], { cumulativeFee: 1n }))
    if (check.status !== 'fraud') throw new TypeError('no fraud')
    expect(verifyFraud(check.proof, AGAINST).status).toBe('proven')
  })

  it('a root that is not that of the receipts', async () => {
    const { book, receipts } = await bookOf([5n, 6n])
    const check = book.checkSettlement(settled(receipts, { receiptsRoot: `0x${'13'.repeat(32)}` }))
    expect(check).toMatchObject({ status: 'fraud', proof: { kind: 'settlement-root-mismatch' } })
    if (check.status === 'fraud') expect(verifyFraud(check.proof, AGAINST).status).toBe('proven')
  })

  it('accepts the last receipt’s leaf for a root, where the order did not close', async () => {
    const { book, receipts } = await bookOf([5n, 6n])
    const last = receipts[1]
    if (last === undefined) throw new TypeError('no receipt')
    const receiptsRoot = receiptLeaf(last.receipt)
    expect(book.checkSettlement(settled(receipts, { receiptsRoot })).status).toBe('consistent')
    expect(book.checkSettlement(settled(receipts, { receiptsRoot, refund: 1n })).status).toBe('fraud')
  })

  it('is incomplete while answers are out, and a question when none are', async () => {
    const { book, requests, receipts } = await bookOf([5n, 6n], [0])
    const event = settled(receipts)
    expect(book.checkSettlement(event)).toEqual({ status: 'incomplete', missing: [1n] })
    const last = requests[1]
    if (last === undefined) throw new TypeError('no request')
    await book.noteRefusal(requestId(last.request))
    const check = book.checkSettlement(event)
    expect(check).toMatchObject({ status: 'fraud', proof: { kind: 'settlement-above-receipts', held: 1 } })
    if (check.status === 'fraud') expect(verifyFraud(check.proof, AGAINST).status).toBe('question')
  })

  it('an open request does not excuse more than its maxFee', async () => {
    const { book, receipts } = await bookOf([5n, 6n], [0])
    expect(book.checkSettlement(settled(receipts, { cumulativeFee: 105n })).status).toBe('incomplete')
    expect(book.checkSettlement(settled(receipts, { cumulativeFee: 106n })).status).toBe('fraud')
  })

  it('proves a receipt against the root on the chain', async () => {
    const { book, receipts } = await bookOf([1n, 2n, 3n, 4n, 5n])
    const claim = book.proveInclusion(3n, 5n)
    expect(verifyInclusion(claim)).toBe(true)
    expect(claim.root).toBe(settled(receipts).receiptsRoot)
    expect(() => book.proveInclusion(0n, 6n)).toThrow(expect.objectContaining({ field: 'size' }))
  })
})

describe('verifyFraud', () => {
  it('refutes a payer who forges a receipt, or shows honest ones', async () => {
    const { requests, receipts } = await honestLedger([5n, 6n])
    const [a, b] = receipts
    const request = requests[0]?.request
    if (a === undefined || b === undefined || request === undefined) throw new TypeError('no receipts')
    const forged = signReceipt({ ...a.receipt, fee: 99n }, strangerWallet)
    const proofs = [
      { kind: 'two-receipts-one-seq', receipts: [a, forged] },
      { kind: 'two-receipts-one-seq', receipts: [a, a] },
      { kind: 'two-receipts-one-seq', receipts: [a, b] },
      { kind: 'request-charged-twice', receipts: [a, b] },
      { kind: 'cumulative-mismatch', receipts: [a, b] },
      { kind: 'cumulative-mismatch', receipts: [b, a] },
      { kind: 'fee-over-max', receipt: a, request },
      { kind: 'fee-over-max', receipt: a, request: { ...request, maxFee: 1n } },
      { kind: 'over-amount', receipt: b },
      { kind: 'settlement-above-receipt', settlement: settled(receipts), receipts: [b] },
      { kind: 'settlement-above-receipt', settlement: settled(receipts), receipts: [a] },
      { kind: 'settlement-root-mismatch', settlement: settled(receipts), receipts },
      { kind: 'settlement-root-mismatch', settlement: settled(receipts), receipts: [b, a] },
      { kind: 'settlement-root-mismatch', settlement: settled(receipts), receipts: [a] },
    ] as const
    for (const proof of proofs)
      expect([proof.kind, verifyFraud(proof, AGAINST).status]).toEqual([proof.kind, 'refuted'])
  })
})

describe('the log', () => {
  it('brings the whole book back, fraud included, and gives the next index', async () => {
    const log = memoryReceiptLog()
    const { requests, receipts } = await honestLedger([5n, 6n])
    const book = await openBook(log)
    for (const request of requests) await book.noteRequest(request)
    for (const receipt of receipts) await book.add(receipt)
    const [first] = receipts
    if (first === undefined) throw new TypeError('no receipt')
    await book.add(altered(first, { timestamp: NOW + 9 }))

    const again = await openBook(log)
    expect(again.audit()).toEqual(book.audit())
    expect(again.firstFraud?.kind).toBe('two-receipts-one-seq')
    expect(again.nextIndex).toBe(2n)
  })

  it('a crash that cuts off the last line loses that line only', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'book-'))
    try {
      const path = join(folder, 'receipts.jsonl')
      const { requests, receipts } = await honestLedger([5n, 6n])
      const book = await openBook(fileReceiptLog(path))
      await Promise.all(requests.map((request) => book.noteRequest(request)))
      await Promise.all(receipts.map((receipt) => book.add(receipt)))
      const whole = await readFile(path)
      await writeFile(path, whole.subarray(0, -20))

      const again = await openBook(fileReceiptLog(path))
      expect(again.receipts()).toEqual(receipts.slice(0, 1))
      const [, lost] = receipts
      if (lost !== undefined) await again.add(lost)
      expect(await readFile(path)).toEqual(whole)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('refuses the log of another order, and a line that is none, by its number', async () => {
    const log = memoryReceiptLog()
    await log.append(JSON.stringify({ type: 'order', orderId: `0x${'01'.repeat(32)}` }))
    await expect(openBook(log)).rejects.toMatchObject({ code: 'RECEIPT_LOG_CORRUPT', line: 1 })
    const torn = memoryReceiptLog()
    await openBook(torn)
    await torn.append('{"type":"receipt"}')
    await expect(openBook(torn)).rejects.toMatchObject({ code: 'RECEIPT_LOG_CORRUPT', line: 2 })
  })
})
