import type { Hex } from '@opg/protocol'
import type { TransactionReceipt } from 'ethers'
import type { Clock, LogFields, Logger } from './edge.js'
import type { GasFees, Sender } from './sender.js'

/** One signed form of a transaction; a replacement has the same nonce and higher fees. */
export interface SignedAttempt extends GasFees {
  readonly hash: Hex
  /** The signed transaction: sent again as it is, as often as needed. */
  readonly raw: Hex
  readonly signedAtMs: number
}

/** A transaction that was written down before it was sent. */
export interface WrittenTransaction {
  readonly kind: string
  readonly nonce: number
  readonly data: Hex
  readonly gasLimit: bigint
  /** Oldest first, at least one. */
  readonly attempts: readonly SignedAttempt[]
}

export interface FollowPolicy {
  /** Blocks that must stand on a transaction, its own included, before it counts. */
  readonly confirmations: number
  /** After so long without being mined a transaction is replaced by one with higher fees. */
  readonly replaceAfterMs: number
  /** Wei per gas that no transaction offers more than; undefined for no limit. */
  readonly maxFeePerGas?: bigint | undefined
}

/** Where a transaction is. */
export type Whereabouts =
  | { readonly status: 'pending' }
  /** With all its confirmations; `hash` is of the form that was mined. */
  | { readonly status: 'mined'; readonly hash: Hex; readonly receipt: TransactionReceipt }
  /** Another transaction took the nonce: it is counted as mined, and for `SURE_AFTER_MS` nothing of ours was found. */
  | { readonly status: 'superseded' }

/** Follows transactions of one account until the chain says for good what became of them. */
export interface Follower {
  /** Signs at the present fees. It is not sent: write it down first. */
  sign(transaction: { readonly nonce: number; readonly data: Hex; readonly gasLimit: bigint }): Promise<SignedAttempt>
  /** Sends the latest form. Whether the chain took it, `look` will tell. */
  broadcast(transaction: WrittenTransaction): Promise<void>
  /**
   * Looks for it. One that is not mined is sent again or, after `replaceAfterMs`, replaced at higher fees.
   *
   * @param write writes a replacement down before it is sent, and gives the transaction as it is then
   */
  look(
    transaction: WrittenTransaction,
    write: (attempt: SignedAttempt) => Promise<WrittenTransaction>,
  ): Promise<Whereabouts>
}

const BPS = 10_000n
const GAS_OF_AN_EMPTIED_SLOT = 17_100n
/**
 * So long a nonce must have been taken, with no receipt of ours, before another transaction has it: a chain counts what it
 * is just mining, and of several machines behind one URL one may count what the other has not seen.
 */
export const SURE_AFTER_MS = 5_000
/** What chains say of a transaction that they have, in their pool or mined: no news to anybody. */
const KNOWN_ALREADY = /already (known|imported)|known transaction|nonce (too low|has already been used)/i

export function createFollower(dependencies: {
  readonly sender: Sender
  readonly policy: FollowPolicy
  readonly clock: Clock
  readonly logger: Logger
}): Follower {
  const { sender, policy, clock, logger } = dependencies
  /** The problem of each transaction that was logged last: it is sent again at every look. */
  const said = new Map<Hex, string>()
  /** Since when the nonce of each transaction, by its first hash, is taken without a receipt. */
  const takenSinceMs = new Map<Hex, number>()

  async function sign(transaction: {
    readonly nonce: number
    readonly data: Hex
    readonly gasLimit: bigint
  }): Promise<SignedAttempt> {
    return signAt(transaction, capped(await sender.fees()))
  }

  async function signAt(
    { nonce, data, gasLimit }: { readonly nonce: number; readonly data: Hex; readonly gasLimit: bigint },
    fees: GasFees,
  ): Promise<SignedAttempt> {
    const { raw, hash } = await sender.sign({ ...fees, nonce, data, gasLimit })
    return { raw, hash, ...fees, signedAtMs: clock() }
  }

  async function broadcast(transaction: WrittenTransaction): Promise<void> {
    const attempt = transaction.attempts.at(-1)
    if (attempt === undefined) return
    const { hash } = attempt
    const problem = await sender.broadcast(attempt.raw)
    const fields: LogFields = { kind: transaction.kind, hash, nonce: transaction.nonce }
    if (problem === undefined) logger.info(fields, 'transaction sent')
    else if (KNOWN_ALREADY.test(problem)) logger.info({ ...fields, problem }, 'transaction was there already')
    else if (said.get(hash) !== problem) {
      said.set(hash, problem)
      logger.warn({ ...fields, problem }, 'transaction not taken; it is followed all the same')
    }
  }

  async function look(
    transaction: WrittenTransaction,
    write: (attempt: SignedAttempt) => Promise<WrittenTransaction>,
  ): Promise<Whereabouts> {
    // The block is read first: what was mined up to it shows in what is read after.
    const latest = (await sender.latestBlock()).number
    for (const { hash } of transaction.attempts) {
      const receipt = await sender.receipt(hash)
      if (receipt === undefined) continue
      if (latest - receipt.blockNumber + 1 < policy.confirmations) return { status: 'pending' }
      forget(transaction)
      return { status: 'mined', hash, receipt }
    }
    const takenForMs = takenFor(transaction, await sender.minedNonces(latest - (policy.confirmations - 1)))
    if (takenForMs !== undefined) {
      if (takenForMs < SURE_AFTER_MS) return { status: 'pending' }
      forget(transaction)
      return { status: 'superseded' }
    }
    await broadcast((await replaced(transaction, write)) ?? transaction)
    return { status: 'pending' }
  }

  /** How long its nonce was found to be taken, by the count of nonces; undefined where it is not. */
  function takenFor({ nonce, attempts }: WrittenTransaction, mined: number): number | undefined {
    const [first] = attempts
    if (first === undefined) return undefined
    if (mined <= nonce) {
      takenSinceMs.delete(first.hash)
      return undefined
    }
    const now = clock()
    const since = takenSinceMs.get(first.hash) ?? now
    takenSinceMs.set(first.hash, since)
    return now - since
  }

  /** The transaction with higher fees, where it is time, and they may rise. */
  async function replaced(
    transaction: WrittenTransaction,
    write: (attempt: SignedAttempt) => Promise<WrittenTransaction>,
  ): Promise<WrittenTransaction | undefined> {
    const last = transaction.attempts.at(-1)
    if (last === undefined || clock() - last.signedAtMs < policy.replaceAfterMs) return undefined
    const fees = capped(raisedFees(last, await sender.fees()))
    if (fees.maxFeePerGas < leastRaise(last.maxFeePerGas)) {
      const { kind, nonce } = transaction
      logger.warn({ kind, nonce, maxFeePerGas: last.maxFeePerGas.toString() }, 'stuck, and may not offer more')
      return undefined
    }
    return write(await signAt(transaction, fees))
  }

  function capped({ maxFeePerGas, maxPriorityFeePerGas }: GasFees): GasFees {
    const most = policy.maxFeePerGas
    if (most === undefined || maxFeePerGas <= most) return { maxFeePerGas, maxPriorityFeePerGas }
    return { maxFeePerGas: most, maxPriorityFeePerGas: lesser(maxPriorityFeePerGas, most) }
  }

  function forget({ attempts }: WrittenTransaction): void {
    for (const { hash } of attempts) {
      said.delete(hash)
      takenSinceMs.delete(hash)
    }
  }

  return { sign, broadcast, look }
}

/**
 * A gas estimate, and a little more.
 *
 * @param slots balances that the transaction adds to, and that others can empty before it: each then costs what a fresh
 * slot costs (EIP-2929). Also a transaction ahead may have filled them in the estimate, and then fail.
 */
export function withMargin(gas: bigint, { gasMarginBps }: { readonly gasMarginBps: bigint }, slots = 0): bigint {
  return gas + (gas * gasMarginBps) / BPS + BigInt(slots) * GAS_OF_AN_EMPTIED_SLOT
}

function raisedFees(last: GasFees, now: GasFees): GasFees {
  return {
    maxFeePerGas: greater(leastRaise(last.maxFeePerGas), now.maxFeePerGas),
    maxPriorityFeePerGas: greater(leastRaise(last.maxPriorityFeePerGas), now.maxPriorityFeePerGas),
  }
}

/** An eighth more than before, as nodes ask of a replacement. */
function leastRaise(before: bigint): bigint {
  return before + before / 8n + 1n
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function lesser(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
