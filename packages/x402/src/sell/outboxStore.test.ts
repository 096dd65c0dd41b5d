import type { Hex } from '@opg/protocol'
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fileOutbox, memoryOutbox, type OutboxEntry } from './outboxStore.js'

const idOf = (n: number): Hex => `0x${n.toString(16).padStart(64, '0')}`
const requirements = {
  scheme: 'upto',
  network: 'eip155:31337',
  asset: '0x',
  amount: '10',
  payTo: '0x',
  maxTimeoutSeconds: 300,
  extra: {},
} as const
const entryOf = (n: number): OutboxEntry => ({
  orderId: idOf(n),
  claimBy: 1_800_000_000,
  payment: { x402Version: 2, accepted: { ...requirements }, payload: { signature: '0x' } },
  requirements: { ...requirements },
  step: {
    phase: 'capture',
    settlement: {
      orderId: idOf(n),
      cumulativeFee: 10n,
      receiptsRoot: idOf(1),
      receiptCount: 1n,
      close: true,
    },
    evidence: '0x01',
  },
})

describe('an outbox in a file', () => {
  let directory: string
  let files = 0
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'opg-outbox-'))
  })
  afterAll(() => rm(directory, { recursive: true }))
  const freshPath = (): string => join(directory, `${String((files += 1))}.jsonl`)

  it('keeps what was put and not removed, for the next process', async () => {
    const path = freshPath()
    const store = fileOutbox(path)
    expect(await store.load()).toEqual([])
    await Promise.all([1, 2, 3].map((n) => store.put(entryOf(n))))
    await store.remove(idOf(2))
    const later = { ...entryOf(3), claimBy: 1_900_000_000 }
    await store.put(later)
    expect(await fileOutbox(path).load()).toEqual([entryOf(1), later])
  })

  it('promises nothing before it is in the file', async () => {
    const path = freshPath()
    const store = fileOutbox(path)
    await store.load()
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        await store.put(entryOf(n))
        expect(await readFile(path, 'utf8')).toContain(idOf(n))
      }),
    )
  })

  it('leaves out a line that a crash cut off', async () => {
    const path = freshPath()
    const store = fileOutbox(path)
    await store.load()
    await store.put(entryOf(1))
    await appendFile(path, '{"orderId":"0x00')
    const next = fileOutbox(path)
    expect(await next.load()).toEqual([entryOf(1)])
    await next.put(entryOf(2))
    expect(await fileOutbox(path).load()).toEqual([entryOf(1), entryOf(2)])
  })

  it('does not grow with what is done', async () => {
    const path = freshPath()
    const store = fileOutbox(path)
    await store.load()
    const one = 600
    for (let n = 0; n < 1_500; n += 1) await Promise.all([store.put(entryOf(n)), store.remove(idOf(n))])
    expect((await stat(path)).size).toBeLessThan(2_100 * one)
    await store.put(entryOf(7))
    expect(await fileOutbox(path).load()).toEqual([entryOf(7)])
  })

  it('can be read by its owner alone', async () => {
    const path = freshPath()
    await fileOutbox(path).load()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('says where it cannot be kept, and goes on when it can', async () => {
    const path = join(directory, 'missing', 'outbox.jsonl')
    const store = fileOutbox(path)
    await expect(store.load()).rejects.toMatchObject({ code: 'OUTBOX_FAILED' })
    await expect(store.put(entryOf(1))).rejects.toThrow(/Check its disk/)
  })

  it('refuses a file that is something else', async () => {
    const path = freshPath()
    await writeFile(path, 'not ours\n')
    await expect(fileOutbox(path).load()).rejects.toMatchObject({ code: 'OUTBOX_FAILED' })
    expect(await readFile(path, 'utf8')).toBe('not ours\n')
  })
})

it('an outbox in memory leaves nothing behind', async () => {
  const store = memoryOutbox()
  await store.put(entryOf(1))
  expect(await store.load()).toEqual([])
})
