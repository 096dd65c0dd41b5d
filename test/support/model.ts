import { ZeroAddress } from 'ethers'
import { ModelBooks, Reverts, type Outcome } from './modelBooks'
import { sharesOfCall, sharesOfSlices, type Step } from './shares'
import { sliceIdOf, type Allocation, type Holder } from './slices'
import type { Order, Terms } from './typedData'

const Skip = {
  Unknown: 1n,
  Closed: 2n,
  Late: 3n,
  Overdrawn: 4n,
  Stale: 5n,
  NotSingle: 6n,
  NotPayable: 7n,
  WrongKey: 8n,
  Refused: 9n,
} as const

/** An order with its terms and id, as a caller knows it. */
export interface Known {
  readonly terms: Terms
  readonly order: Order
  readonly id: string
}

export interface ModelRow {
  /** Under the terms of the call, which may not be those it was opened with. */
  readonly id: string
  readonly order: Order
  readonly cumulativeFee: bigint
  readonly receiptsRoot: string
  readonly receiptCount: bigint
  readonly close: boolean
}

export interface ModelSlice extends Holder {
  readonly index: number
  readonly fee: bigint
  readonly receiptsRoot: string
  readonly receiptCount: bigint
  readonly signed: boolean
}

interface ModelOrder {
  readonly networkBps: bigint
  readonly royaltyBps: bigint
  readonly openedAt: bigint
  released: bigint
  reserved: bigint
  open: boolean
}

/** The escrow once more, in as few words as possible: what it owes, and the rules that move money between accounts. */
export class EscrowModel {
  readonly books = new ModelBooks()
  readonly #known = new Map<string, Known>()
  #orders = new Map<string, ModelOrder>()
  #unsettled = new Map<string, Set<number>>()
  royaltyBps: bigint

  constructor(
    private readonly world: {
      readonly escrow: string
      readonly networkBps: bigint
      readonly royaltyBps: bigint
      readonly modelOwner: string
      readonly network: string
      selectorOf(error: string): string
    },
  ) {
    this.books.networkBps = world.networkBps
    this.royaltyBps = world.royaltyBps
  }

  /** Runs a call, and takes back what it did where it reverts. */
  run(call: (model: EscrowModel) => void): Outcome {
    const books = this.books.copy()
    const orders = new Map([...this.#orders].map(([id, order]) => [id, { ...order }]))
    const unsettled = new Map([...this.#unsettled].map(([id, indexes]) => [id, new Set(indexes)]))
    this.books.events = []
    try {
      call(this)
      return { events: this.books.events }
    } catch (error) {
      if (!(error instanceof Reverts)) throw error
      this.books.restore(books)
      this.#orders = orders
      this.#unsettled = unsettled
      return { error: error.errorName }
    }
  }

  /** `from` is whose tokens open it. */
  open(known: Known, from: string, now: bigint): void {
    if (this.#orders.has(known.id)) return
    const defect = this.#defect(known, now)
    if (defect !== undefined) throw new Reverts(defect)
    this.#record(known, from, now)
  }

  /** `delivered` is what arrives for each; undefined where the pull, or the funder, refuses. */
  openBatch(
    batch: readonly { readonly known: Known; readonly from: string; readonly delivered: bigint | undefined }[],
    now: bigint,
  ): void {
    let missing = 0n
    for (const { known, from, delivered } of batch) {
      if (this.#orders.has(known.id)) continue
      const reason = this.#defect(known, now) ?? (delivered === undefined ? 'PullFailed' : undefined)
      if (reason !== undefined) {
        this.books.emit('OpenFailed', known.id, this.world.selectorOf(reason))
        continue
      }
      missing += known.order.amount - (delivered ?? 0n)
      this.#record(known, from, now)
    }
    if (missing !== 0n) throw new Reverts('AmountMismatch')
  }

  settle(
    terms: Terms,
    rows: readonly ModelRow[],
    { now, signed, claim }: { readonly now: bigint; readonly signed: boolean; readonly claim: boolean },
  ): void {
    if (terms.node === ZeroAddress) throw new Reverts('NodeInvalid')
    if (!signed) throw new Reverts('EvidenceRefused')
    const steps: Step[] = []
    for (const row of rows) {
      const { id, order, cumulativeFee, close } = row
      const state = this.#orders.get(id)
      const reason = state === undefined ? Skip.Unknown : skipReason(state, row, now)
      if (state === undefined || reason !== undefined) {
        this.books.emit('RowSkipped', id, reason ?? Skip.Unknown)
        continue
      }
      const { networkBps, royaltyBps } = state
      steps.push({ before: state.released, cumulativeFee, networkBps, royaltyBps })
      state.released = cumulativeFee
      state.open = !close
      const refund = close ? order.amount - cumulativeFee : 0n
      this.books.emit('OrderSettled', id, cumulativeFee, row.receiptsRoot, row.receiptCount, refund)
      this.books.payOrCredit(id, order.payer, refund)
    }
    this.books.creditShares(terms, sharesOfCall(steps, terms.facilitatorBps))
    if (claim) this.books.payOut(terms.node, terms.node)
  }

  allocate(
    { terms, order, id }: Known,
    given: { readonly allocation: Allocation; readonly allocationId: string; readonly agreed: boolean },
    now: bigint,
  ): void {
    const { allocation, allocationId, agreed } = given
    const { root, count, cap, series } = allocation
    if (terms.node !== ZeroAddress) throw new Reverts('OrderNotRouted')
    if (this.#unsettled.has(allocationId)) return
    const state = this.#requireOpen(id)
    if (now >= order.claimBy) throw new Reverts('OrderExpired')
    const sum = BigInt(count) * cap
    if (sum === 0n) throw new Reverts('AllocationEmpty')
    if (sum > order.amount - state.released - state.reserved) throw new Reverts('AllocationTooLarge')
    if (!agreed) throw new Reverts('NotFacilitator')
    state.reserved += sum
    this.#unsettled.set(allocationId, new Set(Array.from({ length: count }, (_, index) => index)))
    this.books.emit('SlicesAllocated', id, allocationId, root, count, cap, series)
  }

  settleSlices(
    { terms, order, id }: Known,
    given: { readonly allocation: Allocation; readonly allocationId: string; readonly proven: boolean },
    slices: readonly ModelSlice[],
    now: bigint,
  ): void {
    if (!given.proven) throw new Reverts('SliceProofInvalid')
    const { cap } = given.allocation
    const state = this.#orders.get(id)
    const unsettled = this.#unsettled.get(given.allocationId)
    const settled: ModelSlice[] = []
    for (const slice of slices) {
      const reason = this.#sliceSkipReason(slice, { state, unsettled, terms, cap, late: now >= order.claimBy })
      if (reason !== undefined) this.books.emit('RowSkipped', sliceIdOf(given.allocationId, slice.index), reason)
      else settled.push(slice)
    }
    if (state === undefined || unsettled === undefined || settled.length === 0) return
    const shares = sharesOfSlices(
      settled.map(({ fee }) => fee),
      state,
      terms.facilitatorBps,
    )
    for (const [i, { index, node, fee, receiptsRoot, receiptCount }] of settled.entries()) {
      const sliceId = sliceIdOf(given.allocationId, index)
      const nodeFee = shares.nodes[i] ?? 0n
      unsettled.delete(index)
      state.reserved -= cap
      state.released += fee
      this.books.emit('SliceSettled', id, sliceId, node, fee, nodeFee, receiptsRoot, receiptCount)
      this.books.payOrCredit(sliceId, node, nodeFee)
    }
    this.books.creditShares(terms, { ...shares, node: 0n })
  }

  release({ terms, order, id }: Known, caller: string): void {
    const isRouted = terms.node === ZeroAddress
    if (caller !== (isRouted ? terms.facilitator : terms.node))
      throw new Reverts(isRouted ? 'NotFacilitator' : 'NotNode')
    if (isRouted && (this.#orders.get(id)?.reserved ?? 0n) !== 0n) throw new Reverts('SlicesReserved')
    this.#close('OrderReleased', { id, order })
  }

  reclaim({ order, id }: Known, now: bigint): void {
    if (now < order.claimBy) throw new Reverts('OrderNotExpired')
    this.#close('OrderReclaimed', { id, order })
  }

  claimRoyalty(modelId: string): void {
    this.books.payRoyalty(modelId, this.world.modelOwner)
  }

  claimNetwork(): void {
    this.books.payNetwork(this.world.network)
  }

  sync(networkBps: bigint): void {
    this.books.networkBps = networkBps
    this.books.emit('NetworkBpsSynced', networkBps)
  }

  /** The state of an order as the contract shows it. */
  view(id: string): readonly [bigint, bigint, bigint, bigint, bigint, bigint, boolean] {
    const [state, known] = [this.#orders.get(id), this.#known.get(id)]
    if (state === undefined || known === undefined) return [0n, 0n, 0n, 0n, 0n, 0n, false]
    const released = state.open ? state.released : 2n ** 96n - 1n
    const { reserved, networkBps, royaltyBps, openedAt, open } = state
    return [known.order.amount, released, reserved, networkBps, royaltyBps, openedAt, !open]
  }

  released(id: string): bigint {
    return this.#orders.get(id)?.released ?? 0n
  }

  left(id: string): bigint {
    const [state, known] = [this.#orders.get(id), this.#known.get(id)]
    return state?.open === true && known !== undefined ? known.order.amount - state.released : 0n
  }

  unsettled(allocationId: string): bigint | undefined {
    const indexes = this.#unsettled.get(allocationId)
    return indexes === undefined ? undefined : [...indexes].reduce((bits, index) => bits | (1n << BigInt(index)), 0n)
  }

  free(id: string): bigint {
    return this.left(id) - (this.#orders.get(id)?.reserved ?? 0n)
  }

  /** What all open orders have left, and all credits: the balance that E1 asks for. */
  owed(): bigint {
    return [...this.#orders.keys()].reduce((sum, id) => sum + this.left(id), this.books.owed())
  }

  #defect({ terms, order }: Known, now: bigint): string | undefined {
    if (now >= order.claimBy) return 'OrderExpired'
    const isPinned = BigInt(order.job.requestHash) !== 0n
    return terms.node === ZeroAddress && isPinned ? 'RoutedOrderPinned' : undefined
  }

  #record(known: Known, from: string, now: bigint): void {
    const { terms, order, id } = known
    const royaltyBps = BigInt(terms.modelId) === 0n ? 0n : this.royaltyBps
    const { networkBps } = this.books
    this.#known.set(id, known)
    this.#orders.set(id, { networkBps, royaltyBps, openedAt: now, released: 0n, reserved: 0n, open: true })
    this.books.receive(from, order.amount)
    this.books.emit('OrderOpened', id, order.payer, terms.node, order.amount, order.claimBy)
  }

  #requireOpen(id: string): ModelOrder {
    const state = this.#orders.get(id)
    if (state === undefined) throw new Reverts('OrderUnknown')
    if (!state.open) throw new Reverts('OrderClosed')
    return state
  }

  #close(event: string, { id, order }: Pick<Known, 'id' | 'order'>): void {
    const state = this.#requireOpen(id)
    state.open = false
    const refund = order.amount - state.released
    this.books.emit(event, id, refund)
    this.books.payOrCredit(id, order.payer, refund)
  }

  #sliceSkipReason(
    slice: ModelSlice,
    given: {
      readonly state: ModelOrder | undefined
      readonly unsettled: ReadonlySet<number> | undefined
      readonly terms: Terms
      readonly cap: bigint
      readonly late: boolean
    },
  ): bigint | undefined {
    const { state, unsettled, terms, cap, late } = given
    if (state === undefined || unsettled === undefined) return Skip.Unknown
    if (!state.open) return Skip.Closed
    if (late) return Skip.Late
    if (!unsettled.has(slice.index)) return Skip.Closed
    if (slice.fee > cap) return Skip.Overdrawn
    if (slice.node === ZeroAddress || slice.node === this.world.escrow) return Skip.NotPayable
    if (BigInt(terms.evidenceKey) !== 0n && terms.evidenceKey !== slice.evidenceKey) return Skip.WrongKey
    return slice.signed ? undefined : Skip.Refused
  }
}

function skipReason(state: ModelOrder, row: ModelRow, now: bigint): bigint | undefined {
  const { order, cumulativeFee, close, receiptCount } = row
  if (!state.open) return Skip.Closed
  if (now >= order.claimBy) return Skip.Late
  if (cumulativeFee > order.amount) return Skip.Overdrawn
  if (cumulativeFee < state.released || (cumulativeFee === state.released && !close)) return Skip.Stale
  const isSingle = BigInt(order.job.requestHash) !== 0n
  return isSingle && !(close && receiptCount <= 1n) ? Skip.NotSingle : undefined
}
