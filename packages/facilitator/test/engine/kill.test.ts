import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { captureText, openingText } from '../../src/engine/store/rows.js'
import { openSqlite } from '../../src/engine/store/sqlite.js'
import type { Capture, Opening } from '../../src/engine/types.js'
import { type Child, type ChildInput, startChild } from './support/child.js'
import { type TestPostgres, openBooks, startPostgres } from './support/postgres.js'
import { EngineWorld, type RunningEngine, attempt, eventually } from './support/world.js'

const LEASE_MS = 1_500

describe('processes that share books', () => {
  let world: EngineWorld
  let postgres: TestPostgres
  let running: RunningEngine[] = []

  beforeAll(async () => {
    ;[world, postgres] = await Promise.all([EngineWorld.start(), startPostgres()])
  })
  afterAll(async () => {
    await Promise.all([world.stop(), postgres.stop()])
  })
  beforeEach(() => {
    running = []
  })
  afterEach(async () => {
    await world.devnet.setAutomine(true)
    for (const one of running) await one.close()
  })

  async function start(books: string): Promise<RunningEngine> {
    const database = books.startsWith('postgres:') ? openBooks(books) : openSqlite(books)
    const one = await world.startEngine({ database, leaseMs: LEASE_MS })
    running.push(one)
    return one
  }

  function child(
    books: string,
    input: {
      readonly killAt?: ChildInput['killAt']
      readonly locks?: readonly { readonly opening: Opening; readonly attempt: `0x${string}` }[]
      readonly captures?: readonly Capture[]
    },
  ): Child {
    const { killAt, locks = [], captures = [] } = input
    return startChild({
      rpcUrl: world.devnet.rpcUrl,
      escrow: world.escrow.escrow,
      senderKey: world.sender.privateKey,
      books,
      leaseMs: LEASE_MS,
      ...(killAt === undefined ? {} : { killAt }),
      locks: locks.map((lock) => ({ opening: openingText(lock.opening), attempt: lock.attempt })),
      captures: captures.map(captureText),
    })
  }

  const books = {
    sqlite: () => Promise.resolve(world.freshBooks()),
    postgres: () => postgres.freshDatabase(),
  }

  describe('killed by SIGKILL', () => {
    it.each([
      ['before anything is simulated', 'sqlite', 'eth_call', 'before'],
      ['between writing and sending', 'sqlite', 'eth_sendRawTransaction', 'before'],
      ['between writing and sending', 'postgres', 'eth_sendRawTransaction', 'before'],
      ['right after sending', 'sqlite', 'eth_sendRawTransaction', 'after'],
      ['when it is mined and not booked', 'postgres', 'eth_getTransactionReceipt', 'after'],
    ] as const)('an opening %s, with books in %s: it is opened once', async (_, kind, method, when) => {
      const path = await books[kind]()
      const locks = (await world.openings(3)).map((opening) => ({ opening, attempt: attempt() }))
      const sent = await world.sent()
      expect(await child(path, { killAt: { method, when }, locks }).ended).toBe('SIGKILL')
      const { engine } = await start(path)
      const outcomes = await Promise.all(locks.map((lock) => engine.lock({ ...lock, timeoutMs: 60_000 })))
      for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'locked' })
      for (const { opening } of locks) expect(await world.timesOpened(opening.orderId)).toBe(1)
      expect((await world.sent()) - sent).toBe(1)
    })

    it.each([
      ['between writing and sending', 'sqlite', 'eth_sendRawTransaction', 'before'],
      ['right after sending', 'postgres', 'eth_sendRawTransaction', 'after'],
    ] as const)('a capture %s, with books in %s: it is captured once', async (_, kind, method, when) => {
      const path = await books[kind]()
      const first = await start(path)
      const openings = await world.openings(3)
      await Promise.all(
        openings.map((opening) => first.engine.lock({ opening, attempt: attempt(), timeoutMs: 60_000 })),
      )
      await first.engine.stop()
      const sent = await world.sent()
      const captures = openings.map((opening) => world.capture(opening, 3n))
      expect(await child(path, { killAt: { method, when }, captures }).ended).toBe('SIGKILL')
      const { engine } = await start(path)
      for (const { orderId } of openings) {
        await eventually(async () => (await engine.order(orderId))?.state === 'closed')
        expect(await world.settledFees(orderId)).toEqual([3n])
      }
      expect((await world.sent()) - sent).toBe(1)
    })
  })

  describe('instances on one PostgreSQL', () => {
    it('open each order once, whichever saw it, and each answers its own callers', async () => {
      const url = await postgres.freshDatabase()
      const instances = [await start(url), await start(url), await start(url)]
      const openings = await world.openings(30)
      const from = await world.devnet.provider.getBlockNumber()
      const outcomes = await Promise.all(
        openings.flatMap((opening) => {
          const mine = attempt()
          // Every instance sees every order: for one attempt twice, and for a second one.
          return instances.map(({ engine }, place) =>
            engine.lock({ opening, attempt: place === 2 ? attempt() : mine, timeoutMs: 60_000 }),
          )
        }),
      )
      for (const { orderId } of openings) expect(await world.timesOpened(orderId)).toBe(1)
      expect(await world.wasted(from)).toBe(0)
      const count = (status: string): number => outcomes.filter((outcome) => outcome.status === status).length
      expect(count('locked') + count('used')).toBe(90)
      // One attempt of each order has it, seen from one instance or from two.
      expect(count('used')).toBeGreaterThanOrEqual(30)
    })

    it('go on when the one that sends is killed', async () => {
      const url = await postgres.freshDatabase()
      await world.devnet.setAutomine(false)
      const locks = (await world.openings(3)).map((opening) => ({ opening, attempt: attempt() }))
      const first = child(url, { locks })
      await eventually(async () => {
        const { pending } = (await world.devnet.provider.send('txpool_status', [])) as { readonly pending: string }
        return pending === '0x1'
      })
      const { engine } = await start(url)
      const later = { opening: await world.opening(), attempt: attempt() }
      const waiting = [...locks, later].map((lock) => engine.lock({ ...lock, timeoutMs: 60_000 }))
      first.kill()
      expect(await first.ended).toBe('SIGKILL')
      await world.devnet.setAutomine(true)
      await world.devnet.mine()
      for (const outcome of await Promise.all(waiting)) expect(outcome).toMatchObject({ status: 'locked' })
      for (const { opening } of [...locks, later]) expect(await world.timesOpened(opening.orderId)).toBe(1)
    })

    it('capture each order once, asked by all of them', async () => {
      const url = await postgres.freshDatabase()
      const instances = [await start(url), await start(url)] as const
      const openings = await world.openings(10)
      const from = await world.devnet.provider.getBlockNumber()
      const [even, odd] = instances
      const locked = openings.map((opening, place) =>
        (place % 2 === 0 ? even : odd).engine.lock({ opening, attempt: attempt(), timeoutMs: 60_000 }),
      )
      await Promise.all(locked)
      await Promise.all(
        openings.flatMap((opening) => instances.map(({ engine }) => engine.capture(world.capture(opening, 4n)))),
      )
      for (const { orderId } of openings) {
        for (const { engine } of instances) {
          await eventually(async () => (await engine.order(orderId))?.state === 'closed')
        }
        expect(await world.settledFees(orderId)).toEqual([4n])
      }
      expect(await world.wasted(from)).toBe(0)
    })
  })

  it('two keys are two lanes, and each order goes by one of them', async () => {
    const [, , , , , , , other] = world.devnet.wallets
    const database = openSqlite(world.freshBooks())
    const one = await world.startEngine({ database, options: { signers: [world.sender, other] } })
    running.push(one)
    const openings = await world.openings(20)
    const outcomes = await Promise.all(
      openings.map((opening) => one.engine.lock({ opening, attempt: attempt(), timeoutMs: 60_000 })),
    )
    for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'locked' })
    for (const { orderId } of openings) expect(await world.timesOpened(orderId)).toBe(1)
  })
})
