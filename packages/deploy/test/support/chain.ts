import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { HDNodeWallet, toQuantity, type BaseWallet } from 'ethers'
import { type Chain, connect, DEV_MNEMONIC, httpRpc } from '../../src/index.js'

/** A real chain process of a test. */
export interface TestChain extends Chain {
  readonly rpcUrl: string
  readonly deployer: BaseWallet
  /** How many transactions the deployer has sent. */
  sent(): Promise<number>
  setCode(address: string, code: string): Promise<void>
  setBalance(address: string, balance: bigint): Promise<void>
  stop(): Promise<void>
}

const ANVIL = createRequire(import.meta.url).resolve('@foundry-rs/anvil/bin.mjs')

/** Starts anvil with this chain id, on a free port or on the one that is given. */
export async function startChain(chainId: number, port = 0): Promise<TestChain> {
  const args = [
    '--port',
    String(port),
    '--chain-id',
    String(chainId),
    '--hardfork',
    'prague',
    '--mnemonic',
    DEV_MNEMONIC,
  ]
  const child = spawn(process.execPath, [ANVIL, ...args], { env: { ...process.env, TARGET_TOOL: 'anvil' } })
  const gone = new Promise((done) => child.once('close', done))
  const rpcUrl = await new Promise<string>((done, fail) => {
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += output.length < 100_000 ? chunk.toString() : ''
      const address = /^Listening on (\S+)$/m.exec(output)?.[1]
      if (address !== undefined) done(`http://${address}`)
    })
    child.once('close', () => {
      fail(new TypeError(output))
    })
  })
  const chain = await connect(httpRpc(rpcUrl))
  const deployer = HDNodeWallet.fromPhrase(DEV_MNEMONIC)
  return {
    ...chain,
    rpcUrl,
    deployer,
    sent: () => chain.provider.getTransactionCount(deployer.address),
    setCode: async (address, code) => {
      await chain.rpc.request({ method: 'anvil_setCode', params: [address, code] })
    },
    setBalance: async (address, balance) => {
      await chain.rpc.request({ method: 'anvil_setBalance', params: [address, toQuantity(balance)] })
    },
    stop: async () => {
      child.kill('SIGTERM')
      await gone
    },
  }
}
