import { startFlakyRpc, type FlakyRpc } from '@opg/devnet'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ChainUnavailableError, connectProvider } from '../src/index.js'
import { startChain, type TestChain } from './support/chain.js'

const KEY = 'c0ffee-customer-key'

let chain: TestChain
let rpc: FlakyRpc

beforeAll(async () => {
  chain = await startChain()
  rpc = chain.rpc
})
afterAll(async () => {
  await chain.stop()
})
afterEach(() => {
  rpc.mood = 'well'
  rpc.delayMs = 0
  rpc.lies.clear()
})

describe('connectProvider', () => {
  it('reads the chain id that the RPC has, and assumes none', async () => {
    rpc.lies.set('eth_chainId', '0x14a34')
    const provider = await connectProvider(rpc.url)
    expect((await provider.getNetwork()).chainId).toBe(84_532n)
    provider.destroy()
  })

  it.each(['error', 'garbage', 'hang-up', 'silent'] as const)('says that the RPC is down (%s)', async (mood) => {
    rpc.mood = mood
    await expect(connectProvider(rpc.url, { timeoutMs: 200 })).rejects.toMatchObject({
      code: 'CHAIN_UNAVAILABLE',
      operation: 'eth_chainId',
    })
  })

  it.each(['', 'no number', null, {}])('takes a chain id that is none (%j) for no answer', async (id) => {
    rpc.lies.set('eth_chainId', id)
    await expect(connectProvider(rpc.url)).rejects.toBeInstanceOf(ChainUnavailableError)
  })

  it('gives up where nobody listens, and shows nothing of the URL, which may hold a key', async () => {
    const gone = await startFlakyRpc(rpc.url)
    await gone.stop()
    const error: unknown = await connectProvider(`${gone.url}/${KEY}`).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ChainUnavailableError)
    expect(texts(error)).not.toContain(KEY)
  })
})

describe('a connected provider', () => {
  it('asks again what it asked before: it keeps no answers', async () => {
    const before = await chain.provider.getBlockNumber()
    await chain.mine()
    expect(await chain.provider.getBlockNumber()).toBe(before + 1)
  })

  it('waits for a slow RPC, and not longer than its time', async () => {
    rpc.delayMs = 100
    expect(await chain.provider.getBlockNumber()).toBeGreaterThanOrEqual(0)
    rpc.delayMs = 2_000
    await expect(chain.sender.latestBlock()).rejects.toBeInstanceOf(ChainUnavailableError)
  })
})

/** All that could be printed of an error. */
function texts(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error)
  return `${error.message} ${String(error.stack)} ${JSON.stringify(error)} ${texts(error.cause ?? '')}`
}
