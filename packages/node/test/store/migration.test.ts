import { WrongChainError } from '@opg/operator'
import { EMPTY_TREE, ZERO_BYTES32, appendLeaf, packTree, termsHash, toWire } from '@opg/protocol'
import Libsql from 'libsql'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteStore } from '../../src/store/sqliteStore.js'
import type { BooksIdentity, NodeStore } from '../../src/store/types.js'
import { IDENTITY, TERMS, anOrder, hash, openSnapshot, wish } from '../support/books.js'
import { createTestClock } from '../support/clock.js'
import { PAYMENTS_OF_VERSION_3, TABLES_OF_VERSION_1 } from './schemaV1.js'

describe('books of an earlier version', () => {
  let directory: string
  let path: string
  const { orderId, terms, order } = anOrder()

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'opg-node-'))
    path = join(directory, 'node.db')
    const old = new Libsql(path)
    old.exec(TABLES_OF_VERSION_1)
    const meta = { 'schema version': '1', node: IDENTITY.node, escrow: IDENTITY.escrow, 'chain id': '31337' }
    for (const row of Object.entries(meta)) old.prepare('INSERT INTO meta VALUES (?, ?)').run(row)
    old
      .prepare(
        `INSERT INTO orders (order_id, terms_hash, terms, body, network_bps, royalty_bps, chain, released, checked_at_ms,
           receipt_count, cumulative_fee, tree, active_at_ms)
         VALUES (?, ?, ?, ?, 500, 0, 'open', '3', 1, 1, '10', ?, 1)`,
      )
      .run([
        orderId,
        termsHash(TERMS),
        JSON.stringify(toWire(terms)),
        JSON.stringify(toWire(order)),
        packTree(appendLeaf(EMPTY_TREE, hash('leaf'))),
      ])
    old.close()
  })
  afterEach(() => rm(directory, { recursive: true }))

  const open = (identity: BooksIdentity = IDENTITY): Promise<NodeStore> =>
    openSqliteStore({ path, identity, clock: createTestClock(), random: randomBytes })
  const version = (): string => {
    const database = new Libsql(path)
    const row = database.prepare("SELECT value FROM meta WHERE name = 'schema version'").get() as { value: string }
    database.close()
    return row.value
  }

  it('are brought up to date with all that they hold, and go on', async () => {
    const store = await open()
    expect(await store.order(orderId)).toMatchObject({
      terms,
      order,
      slice: undefined,
      voucher: undefined,
      released: 3n,
      cumulativeFee: 10n,
      receiptCount: 1n,
    })
    const voucher = { orderId, node: IDENTITY.node, maxCumulativeFee: 500n }
    const signed = { voucher, signature: `0x${'11'.repeat(65)}` } as const
    const stored = await store.order(orderId)
    if (stored === undefined) throw new TypeError('the order has gone')
    expect((await store.reserve({ ...wish(stored, 1n, 100n), voucher: signed })).status).toBe('reserved')
    const slice = {
      routedId: hash('routed'),
      allocationId: hash('allocation'),
      allocation: { root: hash('root'), count: 3, cap: 2n ** 96n - 1n, series: 2n ** 64n - 1n },
      slice: { index: 2, node: IDENTITY.node, evidenceKey: ZERO_BYTES32 },
      proof: [hash('a'), hash('b')],
    }
    const other = anOrder()
    const snapshot = openSnapshot(slice.allocation.cap)
    await store.putOrder({ ...other, termsHash: termsHash(TERMS), slice, snapshot })
    await store.close()

    const again = await open()
    expect(await again.order(orderId)).toMatchObject({ cumulativeFee: 10n, voucher: signed })
    expect(await again.order(other.orderId)).toMatchObject({ slice })
    await again.close()
    expect(version()).toBe('4')
  })

  it('of version 3 keep their payments, and the answers of those that ended for as long as any', async () => {
    const old = new Libsql(path)
    old.exec(PAYMENTS_OF_VERSION_3)
    const [ended, locking] = [{ orderId, terms, order }, anOrder()]
    const insert = old.prepare("INSERT INTO payments VALUES (?, ?, ?, ?, 1800000000, ?, '')")
    for (const [payment, state] of [[ended, 'ended'] as const, [locking, 'locking'] as const]) {
      const parts = [payment.terms, payment.order].map((part) => JSON.stringify(toWire(part)))
      insert.run([payment.orderId, ...parts, hash('request'), state])
    }
    old.close()
    const before = Date.now()
    const store = await open()
    expect(await store.payment(locking.orderId)).toMatchObject({ order: locking.order, state: 'locking' })
    const { endedAtMs = 0, state } = (await store.payment(ended.orderId)) ?? {}
    expect(state).toBe('ended')
    expect(endedAtMs).toBeGreaterThan(before - 2_000)
    expect(endedAtMs).toBeLessThanOrEqual(Date.now())
    // Somebody may have asked for its lock.
    await store.notePayment({ ...locking, requestId: hash('request'), deadline: 1 })
    await store.forgetPayment(locking.orderId)
    expect(await store.payment(locking.orderId)).toBeDefined()
    await store.close()
  })

  it('get a name when they are first opened, and keep it; other books have another', async () => {
    const [store, sharing] = [await open(), await open()]
    const { booksId } = store
    expect(booksId).toMatch(/^0x[0-9a-f]{64}$/)
    expect(sharing.booksId).toBe(booksId)
    for (const handle of [store, sharing]) await handle.close()
    const again = await open()
    expect(again.booksId).toBe(booksId)
    await again.close()
    const other = await openSqliteStore({
      path: join(directory, 'other.db'),
      identity: IDENTITY,
      clock: createTestClock(),
      random: randomBytes,
    })
    expect(other.booksId).not.toBe(booksId)
    await other.close()
  })

  it('stay as they are where they are of another node', async () => {
    await expect(open({ ...IDENTITY, chainId: 1n })).rejects.toBeInstanceOf(WrongChainError)
    expect(version()).toBe('1')
  })

  it.each(['5', '0', 'two'])('are refused where their version is %s', async (found) => {
    const database = new Libsql(path)
    database.prepare("UPDATE meta SET value = ? WHERE name = 'schema version'").run([found])
    database.close()
    await expect(open()).rejects.toBeInstanceOf(WrongChainError)
    expect(version()).toBe(found)
  })
})
