import type { SignedReceipt } from '@opg/protocol'

const MOST_MISSING = 100

/** Receipts by `seq`, each `seq` once. They come nearly in order, so adding is cheap. */
export class SeqIndex {
  readonly #sorted: SignedReceipt[] = []
  readonly #bySeq = new Map<bigint, SignedReceipt>()

  get size(): number {
    return this.#sorted.length
  }

  get last(): SignedReceipt | undefined {
    return this.#sorted.at(-1)
  }

  get(seq: bigint): SignedReceipt | undefined {
    return this.#bySeq.get(seq)
  }

  all(): readonly SignedReceipt[] {
    return [...this.#sorted]
  }

  /** False where the `seq` is taken. */
  add(signed: SignedReceipt): boolean {
    const { seq } = signed.receipt
    if (this.#bySeq.has(seq)) return false
    this.#bySeq.set(seq, signed)
    this.#sorted.splice(this.#countBelow(seq), 0, signed)
    return true
  }

  /** Those with a `seq` below `end`, by `seq`. */
  below(end: bigint): readonly SignedReceipt[] {
    return this.#sorted.slice(0, this.#countBelow(end))
  }

  /** The nearest before and after a `seq`. */
  around(seq: bigint): readonly [SignedReceipt | undefined, SignedReceipt | undefined] {
    const at = this.#countBelow(seq)
    const next = this.#sorted[at]
    return [at === 0 ? undefined : this.#sorted[at - 1], next?.receipt.seq === seq ? this.#sorted[at + 1] : next]
  }

  /** The first hundred `seq` below `end` that are not here; below the last one if `end` is absent. */
  missing(end: bigint = this.last?.receipt.seq ?? 0n): readonly bigint[] {
    const missing: bigint[] = []
    for (let seq = 0n; seq < end && missing.length < MOST_MISSING; seq++) {
      if (!this.#bySeq.has(seq)) missing.push(seq)
    }
    return missing
  }

  #countBelow(seq: bigint): number {
    let [low, high] = [0, this.#sorted.length]
    while (low < high) {
      const middle = (low + high) >> 1
      const at = this.#sorted[middle]
      if (at !== undefined && at.receipt.seq < seq) low = middle + 1
      else high = middle
    }
    return low
  }
}
