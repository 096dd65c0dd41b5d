import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startChain, type TestChain } from './support/chain.js'
import { startCommand } from './support/command.js'
import { folders } from './support/folders.js'
import { startProxy } from './support/proxy.js'

// What a deployment sends to a new local chain: Permit2, and seven contracts.
const TRANSACTIONS = 11

const POINTS: readonly { readonly method: string; readonly nth: number; readonly reachesChain: boolean }[] = [
  ...[1, 2, 3, 7, 8].flatMap((nth) =>
    [false, true].map((reachesChain) => ({ method: 'eth_sendRawTransaction', nth, reachesChain })),
  ),
  { method: 'eth_getTransactionReceipt', nth: 1, reachesChain: true },
  { method: 'eth_getTransactionReceipt', nth: 7, reachesChain: true },
]

describe('a deployment that is killed', () => {
  let chain: TestChain

  beforeEach(async () => {
    chain = await startChain(31_337)
  })
  afterEach(async () => {
    await chain.stop()
  })

  it.each(POINTS)('at $method number $nth (reaches the chain: $reachesChain) is resumed', async (point) => {
    const { manifestFolder, journalFolder } = folders()
    const args = ['--network', 'localhost', '--json', '--manifests', manifestFolder, '--journals', journalFolder]
    let seen = 0
    const proxyUrl = await startProxy(chain.rpcUrl, async (method, forward) => {
      seen += method === point.method ? 1 : 0
      if (seen < point.nth) return await forward()
      const answer = point.reachesChain ? await forward() : ''
      first.child.kill('SIGKILL')
      return answer
    })
    const first = startCommand(args, { LOCAL_RPC_URL: proxyUrl })
    expect((await first.ended).code).toBeNull()

    const second = await startCommand(args, { LOCAL_RPC_URL: chain.rpcUrl }).ended
    expect(second.stderr).toMatch(/Deployed to chain 31337 and read back/)
    expect(second.code).toBe(0)
    // Nothing was deployed twice.
    expect(await chain.sent()).toBe(TRANSACTIONS)

    const third = await startCommand(args, { LOCAL_RPC_URL: chain.rpcUrl }).ended
    expect(third.stderr).toMatch(/Nothing to do/)
    expect(third.stdout).toBe(second.stdout)
    expect(await chain.sent()).toBe(TRANSACTIONS)
  })
})
