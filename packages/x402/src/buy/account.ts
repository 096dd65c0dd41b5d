import { connectProvider } from '@opg/operator'
import { type ReceiptLog, fileReceiptLog, memoryReceiptLog } from '@opg/payer'
import {
  type Address,
  type Hex,
  InvalidInputError,
  type Quorum,
  parseAddress,
  parseOpg,
  quorumKey,
} from '@opg/protocol'
import { type Provider, type Signer, Wallet } from 'ethers'
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Closing, closeOrder, reclaimOrders } from './closing.js'
import { HostBlockedError } from './errors.js'
import { type Ledger, openLedger } from './ledger.js'
import { openMarket } from './market.js'
import type { Purse } from './schemes.js'
import { SpendingWallet } from './wallet.js'
import { WorkOrders } from './workOrders.js'

export interface AccountOptions {
  /** Where to ask the chain, or a provider that is connected already. */
  readonly rpcUrl: string | Provider
  /** OPG, like `1.5`: the most that is signed away in 24 hours, less what the chain shows came back. */
  readonly maxPerDay: string
  /** OPG: the most that one request may cost. `maxPerDay` if absent. */
  readonly maxPerRequest?: string
  /** OPG: the most that is signed away to one host in 24 hours. `maxPerDay` if absent. */
  readonly maxPerHost?: string
  /** OPG to lock at once for a session, where the limits leave it. A tenth of `maxPerHost` if absent. */
  readonly sessionAmount?: string
  /** How long a session's order serves. 3,600 if absent. */
  readonly sessionSeconds?: number
  /** The longest that a seller may have to settle after that. 86,400 if absent. */
  readonly maxLockSeconds?: number
  /** Keeps limits, orders and receipts here, for all processes that name it. In memory if absent: the limits end with it. */
  readonly folder?: string
  /** The escrow; the recorded deployment's of the chain if absent. */
  readonly escrow?: Address
  /** Sets of validators whose judgement is trusted: offers that pin another are refused. None if absent. */
  readonly quorums?: readonly Quorum[]
  /** Signs single requests; a key made for this process if absent. */
  readonly requester?: Signer
  /** Approves Permit2 by a transaction where it is needed. */
  readonly approve?: boolean
  /** Opens orders by the payer's own transactions, for sellers that have no facilitator. */
  readonly open?: boolean
  /** The clock, in milliseconds. */
  readonly clock?: () => number
}

/** What a paying fetch pays from. */
export interface Account {
  /** Opened at the first call; a failure is not kept. */
  readonly purse: () => Promise<Purse>
  /** @throws {HostBlockedError} */
  refuseBlocked(host: string): Promise<void>
  block(host: string, reason: string): Promise<void>
  spentToday(): Promise<bigint>
  reclaim(): Promise<Closing[]>
  close(fetch: typeof globalThis.fetch): Promise<Closing[]>
}

/** @throws {InvalidInputError} if an option is not what it must be */
export function openAccount(signer: Signer, options: AccountOptions): Account {
  const { clock = Date.now, sessionSeconds = 3_600, maxLockSeconds = 86_400 } = options
  const limits = limitsOf(options)
  const { quorums = [] } = options
  for (const quorum of quorums) quorumKey(quorum) // or whoever mistyped it would be told of each seller's offer
  const sessionAmount =
    options.sessionAmount === undefined ? tenthOf(limits.maxPerHost) : parseOpg(options.sessionAmount, 'sessionAmount')
  checkSeconds('sessionSeconds', sessionSeconds)
  checkSeconds('maxLockSeconds', maxLockSeconds)
  const now = (): number => Math.floor(clock() / 1_000)
  const requester = options.requester ?? Wallet.createRandom()
  const ledger = once(() => openLedgerIn(options.folder))

  const purse = once(async (): Promise<Purse> => {
    const { rpcUrl, escrow, approve = false } = options
    const provider = typeof rpcUrl === 'string' ? await connectProvider(rpcUrl) : rpcUrl
    const wallet = await SpendingWallet.open({
      signer: signer.provider === null ? signer.connect(provider) : signer,
      market: await openMarket(provider, {
        escrow: escrow === undefined ? undefined : parseAddress(escrow, 'escrow'),
        quorums,
      }),
      ledger: await ledger(),
      limits,
      approve,
      now,
      random: randomBytes,
    })
    const receiptLog = (orderId: Hex): ReceiptLog =>
      options.folder === undefined ? memoryReceiptLog() : fileReceiptLog(join(options.folder, `${orderId}.jsonl`))
    const orders = new WorkOrders({
      wallet,
      requester,
      sessionAmount,
      sessionSeconds,
      open: options.open === true,
      receiptLog,
    })
    return { wallet, orders, maxLockSeconds }
  })

  return {
    purse,
    refuseBlocked: async (host) => {
      const reason = await (await ledger()).blockedFor(host)
      if (reason !== undefined) throw new HostBlockedError({ host, reason })
    },
    block: async (host, reason) => (await ledger()).blockHost(host, reason),
    spentToday: async () => (await ledger()).spent(now()),
    reclaim: async () => {
      const { wallet } = await purse()
      await wallet.reconcile()
      const expired = (await (await ledger()).unfinished()).filter(({ order }) => order.claimBy <= now())
      const closings = await reclaimOrders(wallet, expired)
      await wallet.reconcile()
      return closings
    },
    close: async (fetch) => {
      const { wallet, orders } = await purse()
      const closings = await Promise.all(
        orders.orders.map(({ host, book }) => closeOrder(wallet, { host, book, fetch })),
      )
      ;(await ledger()).close()
      if (typeof options.rpcUrl === 'string') wallet.market.provider.destroy()
      return closings
    },
  }
}

async function openLedgerIn(folder: string | undefined): Promise<Ledger> {
  if (folder === undefined) return openLedger()
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return openLedger(join(folder, 'spending.db'))
}

function limitsOf(options: AccountOptions): {
  readonly maxPerDay: bigint
  readonly maxPerHost: bigint
  readonly maxPerRequest: bigint
} {
  const maxPerDay = parseOpg(options.maxPerDay, 'maxPerDay')
  const read = (field: 'maxPerHost' | 'maxPerRequest'): bigint =>
    options[field] === undefined ? maxPerDay : parseOpg(options[field], field)
  return { maxPerDay, maxPerHost: read('maxPerHost'), maxPerRequest: read('maxPerRequest') }
}

function tenthOf(amount: bigint): bigint {
  return amount < 10n ? 1n : amount / 10n
}

function checkSeconds(field: string, value: number): void {
  if (Number.isInteger(value) && value > 0 && value <= 30 * 86_400) return
  throw new InvalidInputError({ field, expected: 'whole seconds from 1 to 2,592,000', value })
}

/** Calls `make` at the first need, and again after a failure. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
}
