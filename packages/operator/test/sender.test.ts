import { getAddress, Transaction } from 'ethers'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ChainUnavailableError, type Sender } from '../src/index.js'
import { startChain, TAKES_ALL, TAKES_NONE, type TestChain } from './support/chain.js'

const FEES = { maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 10n ** 9n }
const CALL = { data: '0xabcdef', gasLimit: 60_000n } as const

let chain: TestChain
let sender: Sender

beforeAll(async () => {
  chain = await startChain()
  sender = chain.sender
  await chain.setAutomine(false)
})
afterAll(async () => {
  await chain.stop()
})
afterEach(async () => {
  chain.rpc.mood = 'well'
  chain.rpc.lies.clear()
  await chain.mine()
})

describe('what a sender signs', () => {
  it('is a transaction of its key, for its chain and contract, with no money, and the hash that the chain gives it', async () => {
    const nonce = await sender.nextNonce()
    const { raw, hash } = await sender.sign({ ...FEES, ...CALL, nonce })
    const { chainId } = await chain.direct.getNetwork()
    const { from, to, value, chainId: signedFor, nonce: signedNonce } = Transaction.from(raw)
    expect({ from, to, value, chainId: signedFor, nonce: signedNonce }).toEqual({
      from: chain.wallet.address,
      to: getAddress(TAKES_ALL),
      value: 0n,
      chainId,
      nonce,
    })
    expect(await sender.broadcast(raw)).toBeUndefined()
    await chain.mine()
    expect(await sender.receipt(hash)).toMatchObject({ status: 1, hash })
  })
})

describe('nonces', () => {
  it('count what waits in the pool as the next, and only what was mined as mined', async () => {
    const nonce = await sender.nextNonce()
    const { number } = await sender.latestBlock()
    for (const ahead of [0, 1])
      await sender.broadcast((await sender.sign({ ...FEES, ...CALL, nonce: nonce + ahead })).raw)
    expect(await sender.nextNonce()).toBe(nonce + 2)
    expect(await sender.minedNonces(number)).toBe(nonce)
    await chain.mine()
    expect(await sender.minedNonces(number + 1)).toBe(nonce + 2)
    expect(await sender.minedNonces(number)).toBe(nonce)
  })

  it('of a block before the first are those of the first', async () => {
    expect(await sender.minedNonces(-5)).toBe(0)
  })
})

describe('broadcast', () => {
  it('sends the same twice without harm, and says what the chain said', async () => {
    const { raw, hash } = await sender.sign({ ...FEES, ...CALL, nonce: await sender.nextNonce() })
    expect(await sender.broadcast(raw)).toBeUndefined()
    expect(await sender.broadcast(raw)).toMatch(/already known|already imported/)
    await chain.mine()
    expect(await sender.broadcast(raw)).toMatch(/nonce/)
    expect(await sender.receipt(hash)).toMatchObject({ status: 1 })
  })

  it('says of a broken line that there was no answer, and nothing of its URL', async () => {
    const { raw } = await sender.sign({ ...FEES, ...CALL, nonce: await sender.nextNonce() })
    for (const mood of ['error', 'garbage', 'hang-up', 'silent'] as const) {
      chain.rpc.mood = mood
      const problem = await sender.broadcast(raw)
      expect(problem).toEqual(expect.any(String))
      expect(problem).not.toContain(chain.rpc.url)
    }
  })
})

describe('estimate and calls', () => {
  it('tell what would revert from what could not be asked', async () => {
    const refused = chain.senderTo(TAKES_NONE)
    const reason = `0x${'42'.repeat(32)}` as const
    expect(await sender.estimate(CALL.data)).toMatchObject({ status: 'estimated' })
    expect(await refused.estimate(reason)).toMatchObject({ status: 'refused' })
    expect(await sender.tryCall(CALL.data)).toEqual({ status: 'returned', data: '0x' })
    expect(await refused.tryCall(reason)).toEqual({ status: 'reverted', data: reason })
    expect(await refused.simulate(reason)).toBeUndefined()
    chain.rpc.mood = 'error'
    for (const asked of [refused.estimate(reason), refused.tryCall(reason), refused.simulate(reason)]) {
      await expect(asked).rejects.toBeInstanceOf(ChainUnavailableError)
    }
  })
})

describe('a receipt', () => {
  it('of a block that a reorg took is none, though the RPC shows it', async () => {
    const { raw, hash } = await sender.sign({ ...FEES, ...CALL, nonce: await sender.nextNonce() })
    await sender.broadcast(raw)
    await chain.mine()
    const shown: unknown = await chain.direct.send('eth_getTransactionReceipt', [hash])
    await chain.reorg(1)
    chain.rpc.lies.set('eth_getTransactionReceipt', shown)
    expect(await sender.receipt(hash)).toBeUndefined()
  })

  it('of a block that the RPC does not have is none', async () => {
    const { raw, hash } = await sender.sign({ ...FEES, ...CALL, nonce: await sender.nextNonce() })
    await sender.broadcast(raw)
    await chain.mine()
    chain.rpc.lies.set('eth_getBlockByNumber', null)
    expect(await sender.receipt(hash)).toBeUndefined()
  })
})

describe('an RPC that has no head', () => {
  it('is unavailable, not at block 0', async () => {
    chain.rpc.lies.set('eth_getBlockByNumber', null)
    await expect(sender.latestBlock()).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' })
  })

  it('knows no hash of a block that is not there', async () => {
    const { number, hash } = await sender.latestBlock()
    expect(await sender.blockHash(number)).toBe(hash)
    expect(await sender.blockHash(number + 1_000)).toBeUndefined()
  })
})
