import {
  type Address,
  type Hex,
  type InclusionClaim,
  InvalidInputError,
  type Order,
  type SignedReceipt,
  type SignedRequest,
  type SignedVoucher,
  type Terms,
  domainSeparator,
  inclusionProof,
  parseSignedReceipt,
  parseSignedRequest,
  parseSignedVoucher,
  receiptLeaf,
  requestId,
  rootOfLeaves,
  toWire,
} from '@opg/protocol'
import { ReceiptInvalidError } from './errors.js'
import type { EscrowInfo } from './escrowInfo.js'
import { type Evidence, isSignedBy, learnKey } from './evidence.js'
import type { SettledEvent } from './fetchSettlements.js'
import type { FraudProof } from './fraud.js'
import { judgeReceipt } from './judgeReceipt.js'
import { type SettlementCheck, judgeSettlement } from './judgeSettlement.js'
import { type LogEntry, readLog, writeEntry } from './receiptBookLog.js'
import type { ReceiptLog } from './receiptLog.js'
import { sameReceipt } from './receiptRules.js'
import { SeqIndex } from './seqIndex.js'
import { type OrderOrSlice, type SliceGrant, tabOf } from './tab.js'

export type BookEntry =
  | { readonly status: 'kept' }
  /** The same receipt was kept before. */
  | { readonly status: 'duplicate' }
  /** It is kept, and the node broke a rule with it. */
  | { readonly status: 'fraud'; readonly proof: FraudProof }

export interface BookAudit {
  readonly receipts: number
  /** Base units: fees of all receipts. */
  readonly spent: bigint
  /** Base units that requests without an answer may still cost. */
  readonly reserved: bigint
  /** Requests that were signed, and neither answered nor refused. */
  readonly open: readonly Hex[]
  readonly frauds: readonly FraudProof[]
}

export interface BookOptions extends OrderOrSlice {
  readonly escrow: EscrowInfo
  readonly evidence: Evidence
  readonly log: ReceiptLog
}

type RequestState = { readonly signed: SignedRequest; readonly state: 'open' | 'answered' | 'refused' }

/**
 * Opens the book of one order, or of one slice of a routed order: everything that its requester signed and the node
 * answered, kept in a log, and read back from it. A book shows fraud only if all requests of the order or slice are in
 * it, so each has one book.
 *
 * @throws {InvalidInputError} {@link ReceiptLogError} {@link ChainUnavailableError} if a key is to be looked up
 */
export async function openReceiptBook(options: BookOptions): Promise<ReceiptBook> {
  const book = new ReceiptBook(options)
  const lines = await options.log.lines()
  for (const entry of readLog(lines, book.orderId)) {
    if (entry.type === 'receipt') await learnKey(options.evidence, entry.signed)
    book.restore(entry)
  }
  if (lines.length === 0) await options.log.append(writeEntry({ type: 'order', orderId: book.orderId }))
  return book
}

/** Keeps every receipt of an order or slice and finds what in them is fraud. Made by `openReceiptBook`. */
export class ReceiptBook {
  /** What stands for the order in requests, receipts and settlements: of a slice, the slice's id. */
  readonly orderId: Hex
  /** As the payer signed them. */
  readonly terms: Terms
  readonly order: Order
  readonly slice: SliceGrant | undefined
  readonly node: Address
  /** Base units: what the order, or the slice, holds. */
  readonly amount: bigint
  readonly escrow: EscrowInfo
  readonly #evidence: Evidence
  readonly #separator: Hex
  readonly #log: ReceiptLog
  readonly #requests = new Map<Hex, RequestState>()
  readonly #indexes = new Map<bigint, Hex>()
  readonly #receipts = new SeqIndex()
  readonly #byRequest = new Map<Hex, SignedReceipt>()
  readonly #frauds: FraudProof[] = []
  #spent = 0n
  #reserved = 0n
  #nextIndex = 0n
  #vouched = 0n
  #lastWrite: Promise<unknown> = Promise.resolve()

  constructor(options: BookOptions) {
    const tab = tabOf(options.escrow, options)
    this.terms = tab.terms
    this.order = tab.order
    this.slice = tab.slice
    this.orderId = tab.orderId
    this.node = tab.holder.node
    this.amount = tab.amount
    this.escrow = options.escrow
    this.#evidence = options.evidence
    this.#separator = domainSeparator(options.escrow)
    this.#log = options.log
  }

  /** Base units: fees of all receipts. */
  get spent(): bigint {
    return this.#spent
  }

  /** Base units that the order can still pay for: less what is spent, and what requests without an answer may cost. */
  get left(): bigint {
    const highest = this.#receipts.last?.receipt.cumulativeFee ?? 0n
    const counted = this.#spent + this.#reserved
    return this.amount - (highest > counted ? highest : counted)
  }

  /** What the node was caught at first, if it was. */
  get firstFraud(): FraudProof | undefined {
    return this.#frauds[0]
  }

  /** Base units that requests without an answer may still cost. */
  get reserved(): bigint {
    return this.#reserved
  }

  /** Base units: the highest total that a voucher allows the node to settle; zero where none was signed. */
  get vouched(): bigint {
    return this.#vouched
  }

  /** Whose signatures count. */
  get evidenceKind(): Evidence['kind'] {
    return this.#evidence.kind
  }

  /** Above every index that was used. */
  get nextIndex(): bigint {
    return this.#nextIndex
  }

  /** The lowest `seq` without a receipt. */
  get nextMissing(): bigint {
    return this.#receipts.missing()[0] ?? BigInt(this.#receipts.size)
  }

  /** All receipts by `seq`. */
  receipts(): readonly SignedReceipt[] {
    return this.#receipts.all()
  }

  /**
   * Remembers a request, with its voucher if it has one; call it before they leave. The same again is a no-op.
   *
   * @throws {InvalidInputError}
   */
  async noteRequest(signed: SignedRequest, voucher?: SignedVoucher): Promise<void> {
    const read = parseSignedRequest(toWire(signed))
    const { index } = read.request
    this.#checkOwn(read.request, 'request')
    const vouched = voucher === undefined ? undefined : parseSignedVoucher(toWire(voucher), 'voucher')
    if (vouched !== undefined) this.#checkOwn(vouched.voucher, 'voucher')
    const id = requestId(read.request)
    const used = this.#indexes.get(index)
    if (used !== undefined && used !== id) {
      throw new InvalidInputError({
        field: 'request.index',
        expected: 'an index that no other request has',
        value: index,
      })
    }
    if (this.#requests.get(id)?.state === 'open' || this.#byRequest.has(id)) return
    await this.#keep({ type: 'request', signed: read, ...(vouched === undefined ? {} : { voucher: vouched }) })
  }

  /** Remembers that the node refused a request: its `maxFee` is free again. A receipt for it may come all the same. */
  async noteRefusal(id: Hex): Promise<void> {
    if (this.#requests.get(id)?.state === 'open') await this.#keep({ type: 'refusal', requestId: id })
  }

  /**
   * Keeps a receipt, resolves once it is durable, and says whether the node broke a rule with it.
   *
   * @throws {ReceiptInvalidError} if it is not this order's, this node's and signed by the evidence key
   * @throws {InvalidInputError} if it is no receipt
   * @throws {ChainUnavailableError} if the signer's key is to be looked up: nothing is kept
   */
  async add(signed: SignedReceipt): Promise<BookEntry> {
    const read = parseSignedReceipt(toWire(signed))
    await learnKey(this.#evidence, read)
    this.#check(read)
    const known = this.#receipts.get(read.receipt.seq)
    if (known !== undefined && sameReceipt(known.receipt, read.receipt)) return { status: 'duplicate' }
    const found = this.#frauds.length
    await this.#keep({ type: 'receipt', signed: read })
    const proof = this.#frauds[found]
    return proof === undefined ? { status: 'kept' } : { status: 'fraud', proof }
  }

  /** Where the order stands. Looks for missing receipts too, where every request has been answered. */
  audit(): BookAudit {
    const open = [...this.#requests].flatMap(([id, { state }]) => (state === 'open' ? [id] : []))
    const last = this.#receipts.last
    const missing = open.length === 0 ? this.#receipts.missing() : []
    const gap: FraudProof[] =
      last === undefined || missing.length === 0 || this.#frauds.some(({ kind }) => kind === 'seq-out-of-line')
        ? []
        : [{ kind: 'seq-out-of-line', receipt: last, missing }]
    return {
      receipts: this.#receipts.size,
      spent: this.#spent,
      reserved: this.#reserved,
      open,
      frauds: [...this.#frauds, ...gap],
    }
  }

  /** Compares a settlement of this order with the receipts. @throws {InvalidInputError} if it is another order's */
  checkSettlement(settlement: SettledEvent): SettlementCheck {
    if (settlement.orderId !== this.orderId) {
      throw new InvalidInputError({ field: 'settlement.orderId', expected: this.orderId, value: settlement.orderId })
    }
    const open = [...this.#requests.values()].filter(({ state }) => state === 'open').length
    return judgeSettlement(settlement, {
      receipts: this.#receipts,
      evidence: this.#evidence,
      open,
      reserved: this.#reserved,
    })
  }

  /** Proof that a receipt is in the tree of the first `size` of them. @throws {InvalidInputError} if one is missing */
  proveInclusion(seq: bigint, size: bigint): InclusionClaim {
    const held = this.#receipts.below(size)
    if (BigInt(held.length) !== size) {
      throw new InvalidInputError({ field: 'size', expected: 'a number of receipts that are all held', value: size })
    }
    const leaves = held.map(({ receipt }) => receiptLeaf(receipt))
    const index = Number(seq)
    const proof = inclusionProof(leaves, index)
    return { leaf: leaves[index] ?? '0x', index, size: leaves.length, proof, root: rootOfLeaves(leaves) }
  }

  /** Applies an entry that was read back from the log. */
  restore(entry: LogEntry): void {
    if (entry.type === 'receipt') this.#check(entry.signed)
    this.#apply(entry)
  }

  /** State first, so that calls at the same time see it; then the log. */
  async #keep(entry: LogEntry): Promise<void> {
    this.#apply(entry)
    const written = this.#lastWrite.then(() => this.#log.append(writeEntry(entry)))
    this.#lastWrite = written.catch(() => undefined) // its caller hears of the failure
    await written
  }

  #apply(entry: LogEntry): void {
    if (entry.type === 'request') {
      const id = requestId(entry.signed.request)
      this.#requests.set(id, { signed: entry.signed, state: 'open' })
      this.#indexes.set(entry.signed.request.index, id)
      this.#reserved += entry.signed.request.maxFee
      const allowed = entry.voucher?.voucher.maxCumulativeFee ?? 0n
      if (allowed > this.#vouched) this.#vouched = allowed
      if (entry.signed.request.index >= this.#nextIndex) this.#nextIndex = entry.signed.request.index + 1n
    } else if (entry.type === 'refusal') {
      this.#finish(entry.requestId, 'refused')
    } else if (entry.type === 'receipt') {
      const { requestId: id } = entry.signed.receipt
      const proof = judgeReceipt(entry.signed, {
        receipts: this.#receipts,
        sameRequest: this.#byRequest.get(id),
        request: this.#requests.get(id)?.signed.request,
        requests: this.#requests.size,
        amount: this.amount,
      })
      if (proof !== undefined) this.#frauds.push(proof)
      this.#finish(entry.signed.receipt.requestId, 'answered')
      if (this.#receipts.add(entry.signed)) this.#spent += entry.signed.receipt.fee
      if (!this.#byRequest.has(entry.signed.receipt.requestId)) {
        this.#byRequest.set(entry.signed.receipt.requestId, entry.signed)
      }
    }
  }

  #finish(id: Hex, state: 'answered' | 'refused'): void {
    const request = this.#requests.get(id)
    if (request === undefined) return
    if (request.state === 'open') this.#reserved -= request.signed.request.maxFee
    this.#requests.set(id, { ...request, state })
  }

  #checkOwn({ orderId, node }: { readonly orderId: Hex; readonly node: Address }, field: string): void {
    if (orderId !== this.orderId) {
      throw new InvalidInputError({ field: `${field}.orderId`, expected: this.orderId, value: orderId })
    }
    if (node !== this.node) throw new InvalidInputError({ field: `${field}.node`, expected: this.node, value: node })
  }

  #check(signed: SignedReceipt): void {
    const { orderId, node } = signed.receipt
    if (orderId !== this.orderId) {
      throw new ReceiptInvalidError({
        field: 'receipt.orderId',
        expected: `this order, ${this.orderId}`,
        found: orderId,
      })
    }
    if (node !== this.node) {
      throw new ReceiptInvalidError({
        field: 'receipt.node',
        expected: `the order's node, ${this.node}`,
        found: node,
      })
    }
    if (!isSignedBy(signed, { evidence: this.#evidence, separator: this.#separator })) {
      throw new ReceiptInvalidError({
        field: 'signature',
        expected: "a signature of the order's evidence key",
        found: `a ${signed.signer.kind} signature by somebody else, or over something else`,
      })
    }
  }
}
