import { toQuantity } from 'ethers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  ChainUnavailableError,
  createFollower,
  type Follower,
  type FollowPolicy,
  SURE_AFTER_MS,
  type WrittenTransaction,
} from '../src/index.js'
import { startChain, type TestChain } from './support/chain.js'
import { keepingLogger } from './support/log.js'

const POLICY: FollowPolicy = { confirmations: 1, replaceAfterMs: 60_000 }
const CALL = { data: '0x01', gasLimit: 50_000n } as const

let chain: TestChain
let nowMs = 1_700_000_000_000

beforeAll(async () => {
  chain = await startChain()
})
afterAll(async () => {
  await chain.stop()
})
beforeEach(async () => {
  await chain.setAutomine(false)
})
afterEach(async () => {
  chain.rpc.lies.clear()
  chain.rpc.deafTo = undefined
  await chain.mine(3)
})

/** What a program that writes its transactions down has: here the list is its book. */
function books(policy: Partial<FollowPolicy> = {}) {
  const logger = keepingLogger()
  const follower = createFollower({
    sender: chain.sender,
    policy: { ...POLICY, ...policy },
    clock: () => nowMs,
    logger,
  })
  return { logger, follower, ...bookkeeping(follower) }
}

function bookkeeping(follower: Follower) {
  let written: WrittenTransaction
  return {
    written: () => written,
    write: async (): Promise<void> => {
      const nonce = await chain.sender.nextNonce()
      written = { kind: 'test', nonce, ...CALL, attempts: [await follower.sign({ nonce, ...CALL })] }
    },
    broadcast: () => follower.broadcast(written),
    look: () =>
      follower.look(written, (attempt) => {
        written = { ...written, attempts: [...written.attempts, attempt] }
        return Promise.resolve(written)
      }),
  }
}

describe('a follower', () => {
  it('tells of a transaction once it has its confirmations, and of the form that was mined', async () => {
    const book = books({ confirmations: 3 })
    await book.write()
    await book.broadcast()
    expect(await book.look()).toEqual({ status: 'pending' })
    await chain.mine(2)
    expect(await book.look()).toEqual({ status: 'pending' })
    await chain.mine()
    const { hash } = book.written().attempts[0] ?? {}
    expect(await book.look()).toMatchObject({ status: 'mined', hash, receipt: { status: 1 } })
  })

  it('sends again what was written and never reached the chain: the same bytes', async () => {
    const book = books()
    await book.write()
    expect(await book.look()).toEqual({ status: 'pending' })
    await chain.mine()
    expect(await book.look()).toMatchObject({ status: 'mined' })
    expect(book.written().attempts).toHaveLength(1)
  })

  it('does not take a lost answer for a refusal: the transaction was sent once', async () => {
    const book = books()
    await book.write()
    chain.rpc.deafTo = 'eth_sendRawTransaction'
    await book.broadcast()
    chain.rpc.deafTo = undefined
    expect(await book.look()).toEqual({ status: 'pending' })
    expect(book.logger.lines.at(-1)).toMatchObject({ level: 'info', message: 'transaction was there already' })
    await chain.mine()
    expect(await book.look()).toMatchObject({ status: 'mined' })
  })

  it('follows one that a reorg took, until it is mined again', async () => {
    const book = books()
    await book.write()
    await book.broadcast()
    await chain.mine()
    const first = await book.look()
    await chain.reorg(1)
    expect(await book.look()).toEqual({ status: 'pending' })
    await chain.mine()
    const second = await book.look()
    expect(first).toMatchObject({ status: 'mined' })
    expect(second).toMatchObject({ status: 'mined', hash: book.written().attempts[0]?.hash })
    const blockOf = (one: typeof first) => (one.status === 'mined' ? one.receipt.blockHash : undefined)
    expect(blockOf(second)).not.toBe(blockOf(first))
  })

  it('concludes nothing while the chain does not answer', async () => {
    const book = books()
    await book.write()
    for (const mood of ['error', 'garbage', 'hang-up', 'silent'] as const) {
      chain.rpc.mood = mood
      await expect(book.look()).rejects.toBeInstanceOf(ChainUnavailableError)
    }
    chain.rpc.mood = 'well'
    expect(await book.look()).toEqual({ status: 'pending' })
  })
})

describe('a nonce that is taken', () => {
  it('by another transaction: superseded, once it is sure', async () => {
    const book = books()
    await book.write()
    await chain.take(book.written().nonce)
    await chain.mine()
    expect(await book.look()).toEqual({ status: 'pending' })
    nowMs += SURE_AFTER_MS - 1
    expect(await book.look()).toEqual({ status: 'pending' })
    nowMs += 1
    expect(await book.look()).toEqual({ status: 'superseded' })
  })

  it('is not sent again while it is not sure', async () => {
    const book = books()
    await book.write()
    await chain.take(book.written().nonce)
    await chain.mine()
    await book.look()
    expect(book.logger.lines).toEqual([])
  })

  it('by our own, whose receipt an RPC shows later than the count: it is mined, not superseded', async () => {
    const book = books()
    await book.write()
    await book.broadcast()
    await chain.mine()
    chain.rpc.lies.set('eth_getTransactionReceipt', null)
    expect(await book.look()).toEqual({ status: 'pending' })
    nowMs += SURE_AFTER_MS - 1
    expect(await book.look()).toEqual({ status: 'pending' })
    chain.rpc.lies.clear()
    nowMs += 1
    expect(await book.look()).toMatchObject({ status: 'mined' })
  })

  it('as an RPC says that counts what it is just mining: it is mined, not superseded', async () => {
    const book = books()
    await book.write()
    await book.broadcast()
    // While a block is mined, some chains count its transactions in the state of the block before, and have no receipt yet.
    chain.rpc.lies.set('eth_getTransactionCount', toQuantity(book.written().nonce + 1))
    expect(await book.look()).toEqual({ status: 'pending' })
    chain.rpc.lies.clear()
    await chain.mine()
    expect(await book.look()).toMatchObject({ status: 'mined' })
  })

  it('and given back by a reorg counts as free: the time until it is sure begins anew', async () => {
    const book = books()
    await book.write()
    await chain.mine()
    const snapshot: unknown = await chain.direct.send('evm_snapshot', [])
    await chain.take(book.written().nonce)
    await chain.mine()
    expect(await book.look()).toEqual({ status: 'pending' })
    await chain.direct.send('evm_revert', [snapshot])
    expect(await book.look()).toEqual({ status: 'pending' })
    nowMs += SURE_AFTER_MS
    await chain.mine()
    expect(await book.look()).toMatchObject({ status: 'mined' })
  })
})

describe('a transaction that is stuck', () => {
  it('is replaced after its time and not before, under the same nonce, by an eighth more at least', async () => {
    const book = books({ replaceAfterMs: 1_000 })
    await book.write()
    await book.broadcast()
    nowMs += 999
    await book.look()
    expect(book.written().attempts).toHaveLength(1)
    nowMs += 1
    await book.look()
    const [first, second] = book.written().attempts
    if (first === undefined || second === undefined) throw new TypeError('it was not replaced')
    expect(second.maxFeePerGas * 8n).toBeGreaterThan(first.maxFeePerGas * 9n)
    expect(second.maxPriorityFeePerGas * 8n).toBeGreaterThan(first.maxPriorityFeePerGas * 9n)
    await chain.mine()
    expect(await book.look()).toMatchObject({ status: 'mined', hash: second.hash })
    expect(await chain.direct.getTransactionReceipt(first.hash)).toBeNull()
  })

  it('may be mined in its first form all the same', async () => {
    const book = books({ replaceAfterMs: 0 })
    await book.write()
    await book.broadcast()
    chain.rpc.lies.set('eth_sendRawTransaction', '0x')
    await book.look()
    chain.rpc.lies.clear()
    await chain.mine()
    const [first, second] = book.written().attempts
    expect(second).toBeDefined()
    expect(await book.look()).toMatchObject({ status: 'mined', hash: first?.hash })
  })

  it('never offers more than the limit, and says that it is stuck', async () => {
    const { maxFeePerGas } = await chain.sender.fees()
    const limit = maxFeePerGas + maxFeePerGas / 4n
    const book = books({ replaceAfterMs: 0, maxFeePerGas: limit })
    await book.write()
    await book.broadcast()
    for (let times = 0; times < 4; times++) await book.look()
    expect(book.written().attempts.length).toBeGreaterThan(1)
    for (const attempt of book.written().attempts) {
      expect(attempt.maxFeePerGas).toBeLessThanOrEqual(limit)
      expect(attempt.maxPriorityFeePerGas).toBeLessThanOrEqual(attempt.maxFeePerGas)
    }
    expect(book.logger.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', message: 'stuck, and may not offer more' }),
    )
  })

  it('signs at the limit where the chain asks for more', async () => {
    const book = books({ maxFeePerGas: 1n })
    await book.write()
    expect(book.written().attempts[0]).toMatchObject({ maxFeePerGas: 1n, maxPriorityFeePerGas: 1n })
    await book.broadcast()
    await book.broadcast()
    const refused = book.logger.lines.filter(({ level }) => level === 'warn')
    expect(refused).toMatchObject([{ message: 'transaction not taken; it is followed all the same' }])
    await chain.take(book.written().nonce)
  })
})
