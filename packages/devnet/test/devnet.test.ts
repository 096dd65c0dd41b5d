import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseEther } from 'ethers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  AnvilStartError,
  attachDevnet,
  type Devnet,
  type DevnetAddress,
  SnapshotUnknownError,
  startAnvil,
  startDevnet,
} from '../src/index.js'

describe('devnet', () => {
  let devnet: Devnet

  beforeAll(async () => {
    devnet = await startDevnet()
  })
  afterAll(async () => {
    await devnet.stop()
  })

  it('has all contracts, and they know each other', async () => {
    const { escrow, token, permit2, feePolicy, teeRegistry, teeReceiptVerifier } = devnet.contracts
    expect(await escrow.TOKEN()).toBe(await token.getAddress())
    expect(await escrow.PERMIT2()).toBe(await permit2.getAddress())
    expect(await teeReceiptVerifier.REGISTRY()).toBe(await teeRegistry.getAddress())
    expect(await feePolicy.owner()).toBe(devnet.wallets[0].address)
    expect(await devnet.provider.getCode(permit2)).not.toBe('0x')
  })

  it('gives wallets the native coin, and OPG to whom it is minted', async () => {
    const payer = devnet.wallets[3]
    expect(devnet.wallets.length).toBeGreaterThanOrEqual(10)
    for (const wallet of devnet.wallets) {
      expect(await devnet.provider.getBalance(wallet.address)).toBeGreaterThan(parseEther('1000'))
    }
    await devnet.mint(payer.address, 5n)
    expect(await devnet.contracts.token.balanceOf(payer.address)).toBe(5n)
  })

  it('misses no receipt of a block that came as a wait began, though no block comes after it', async () => {
    const other = await attachDevnet({ rpcUrl: devnet.rpcUrl, deployment: devnet.deployment })
    const { provider } = other
    const ask = provider.send.bind(provider)
    let [receiptsAsked, mined] = [0, Promise.resolve()]
    provider.send = async (method, params) => {
      if (method === 'eth_blockNumber') await mined
      const answer = ask(method, params) as Promise<unknown>
      // The first time is that of `wait` itself, the second that of what listens for it.
      if (method === 'eth_getTransactionReceipt' && ++receiptsAsked === 2) mined = answer.then(() => devnet.mine())
      return answer
    }
    await devnet.setAutomine(false)
    const sent = await other.contracts.token.mint(devnet.wallets[8].address, 1n)
    expect((await sent.wait())?.status).toBe(1)
    expect(receiptsAsked).toBeGreaterThan(2)
    await devnet.setAutomine(true)
    await other.stop()
  })

  it('lets time pass', async () => {
    const before = await devnet.now()
    await devnet.increaseTime(3_600)
    expect(await devnet.now()).toBeGreaterThanOrEqual(before + 3_600)
  })

  it('mines on demand only, once automining is off', async () => {
    await devnet.setAutomine(false)
    const sent = await devnet.contracts.token.mint(devnet.wallets[4].address, 7n)
    expect(await devnet.provider.getTransactionReceipt(sent.hash)).toBeNull()
    await devnet.mine()
    expect((await sent.wait())?.status).toBe(1)
    await devnet.setAutomine(true)
    const before = await devnet.provider.getBlockNumber()
    await devnet.mine(3)
    expect(await devnet.provider.getBlockNumber()).toBe(before + 3)
  })

  it('returns to a snapshot, once', async () => {
    const { token } = devnet.contracts
    const to = devnet.wallets[5].address
    const id = await devnet.snapshot()
    await devnet.mint(to, 1n)
    await devnet.revert(id)
    expect(await token.balanceOf(to)).toBe(0n)
    await expect(devnet.revert(id)).rejects.toThrow(SnapshotUnknownError)
    await devnet.mint(to, 2n)
    expect(await token.balanceOf(to)).toBe(2n)
  })

  it('forgets transactions in a reorg', async () => {
    const to = devnet.wallets[6].address
    const head = await devnet.provider.getBlock('latest')
    await devnet.mint(to, 9n)
    const dropped = await devnet.provider.getBlock('latest')
    await devnet.reorg(1)
    expect(await devnet.contracts.token.balanceOf(to)).toBe(0n)
    const replaced = await devnet.provider.getBlock(dropped?.number ?? 0)
    expect(replaced?.hash).not.toBe(dropped?.hash)
    expect(replaced?.parentHash).toBe(head?.hash)
  })

  it('can be attached to from what JSON can carry', async () => {
    const { rpcUrl, deployment } = devnet
    const other = await attachDevnet(JSON.parse(JSON.stringify({ rpcUrl, deployment })) as DevnetAddress)
    await other.mint(other.wallets[7].address, 4n)
    await other.stop()
    expect(await devnet.contracts.token.balanceOf(devnet.wallets[7].address)).toBe(4n)
  })

  it('can be put on a chain that runs already', async () => {
    const other = await attachDevnet({ rpcUrl: devnet.rpcUrl })
    expect(other.deployment.escrow).not.toBe(devnet.deployment.escrow)
    expect(await other.contracts.escrow.TOKEN()).toBe(other.deployment.token)
    await other.stop()
  })
})

describe('the chain process', () => {
  it('mines on an interval where one is asked for', async () => {
    const devnet = await startDevnet({ blockTimeSeconds: 1 })
    const sent = await devnet.contracts.token.mint(devnet.wallets[1].address, 1n)
    expect(await devnet.provider.getTransactionReceipt(sent.hash)).toBeNull()
    expect((await sent.wait())?.status).toBe(1)
    await devnet.stop()
  })

  it('says what anvil printed if it does not come up', async () => {
    const failing = startAnvil({ args: ['--no-such-option'] })
    await expect(failing).rejects.toThrow(AnvilStartError)
    await expect(failing).rejects.toThrow(/--no-such-option/)
  })

  it('is gone after stop', async () => {
    const anvil = await startAnvil()
    expect(await answers(anvil.rpcUrl)).toBe(true)
    await anvil.stop()
    expect(await answers(anvil.rpcUrl)).toBe(false)
  })

  it('does not outlive a parent that is killed', async () => {
    const script = `import { startAnvil } from '@opg/devnet'; console.log((await startAnvil()).rpcUrl)`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: import.meta.dirname })
    const [url] = (await once(parent.stdout, 'data')) as [Buffer]
    const rpcUrl = url.toString().trim()
    expect(await answers(rpcUrl)).toBe(true)
    parent.kill('SIGKILL')
    await expect.poll(() => answers(rpcUrl), { timeout: 10_000 }).toBe(false)
  })
})

async function answers(rpcUrl: string): Promise<boolean> {
  try {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] })
    return (await fetch(rpcUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).ok
  } catch {
    return false
  }
}
