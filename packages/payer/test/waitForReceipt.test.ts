import { type Devnet, startDevnet } from '@opg/devnet'
import { JsonRpcProvider, Wallet, id, toQuantity } from 'ethers'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ChainUnavailableError, waitForReceipt } from '../src/index.js'

let devnet: Devnet
let wallets = 0

beforeAll(async () => {
  devnet = await startDevnet()
}, 60_000)
afterAll(async () => {
  await devnet.stop()
})
beforeEach(async () => {
  await devnet.setAutomine(false)
})

/** A provider as ethers has it. */
class StockProvider extends JsonRpcProvider {
  constructor() {
    super(devnet.rpcUrl, devnet.chainId, { staticNetwork: true, cacheTimeout: -1, batchMaxCount: 1 })
    this.pollingInterval = 20
  }
}

/** One whose chain mines between two answers: that there is no receipt yet, and which block is the latest. Then it stands still. */
class UnluckyProvider extends StockProvider {
  #receiptsAsked = 0
  #mined: Promise<void> | undefined

  override async send(method: string, params: unknown[]): Promise<unknown> {
    if (method === 'eth_blockNumber') await this.#mined
    const answer: Promise<unknown> = super.send(method, params)
    // The first time is that of `wait` itself, the second that of what listens for it.
    if (method === 'eth_getTransactionReceipt' && ++this.#receiptsAsked === 2) {
      this.#mined = answer.then(() => devnet.mine())
      await this.#mined
    }
    return answer
  }
}

async function walletOn(provider: JsonRpcProvider): Promise<Wallet> {
  const wallet = new Wallet(id(`waiting ${String(wallets++)}`), provider)
  await devnet.provider.send('anvil_setBalance', [wallet.address, toQuantity(10n ** 18n)])
  return wallet
}

describe('waitForReceipt', () => {
  it('finds the receipt of a block that came before the first that ethers hears of, on a chain that then stands still', async () => {
    const provider = new UnluckyProvider()
    const wallet = await walletOn(provider)
    const sent = await wallet.sendTransaction({ to: wallet.address })
    expect(await waitForReceipt(sent)).toMatchObject({ status: 1, hash: sent.hash })
    provider.destroy()
  })

  it('finds one that is there already, and one that comes', async () => {
    const provider = new StockProvider()
    const wallet = await walletOn(provider)
    const sent = await wallet.sendTransaction({ to: wallet.address })
    const coming = waitForReceipt(sent)
    await devnet.mine()
    expect(await coming).toMatchObject({ status: 1 })
    expect(await waitForReceipt(sent)).toMatchObject({ status: 1 })
    provider.destroy()
  })

  it('says which transaction was not mined in time', async () => {
    const provider = new StockProvider()
    const wallet = await walletOn(provider)
    const sent = await wallet.sendTransaction({ to: wallet.address })
    const waiting = waitForReceipt(sent, { timeoutMs: 300 })
    await expect(waiting).rejects.toBeInstanceOf(ChainUnavailableError)
    await expect(waiting).rejects.toThrow(`${sent.hash}: it was sent, and has no receipt after 0.3 s`)
    provider.destroy()
  })

  it('passes on that the transaction reverted, and that another took its nonce', async () => {
    const provider = new StockProvider()
    const wallet = await walletOn(provider)
    const reverting = await wallet.sendTransaction({
      to: devnet.deployment.token,
      data: '0xffffffff',
      gasLimit: 100_000,
    })
    await devnet.mine()
    await expect(waitForReceipt(reverting)).rejects.toMatchObject({ code: 'CALL_EXCEPTION' })
    const nonce = await wallet.getNonce()
    const first = await wallet.sendTransaction({ to: wallet.address, nonce })
    const waiting = waitForReceipt(first)
    const replaced = expect(waiting).rejects.toMatchObject({ code: 'TRANSACTION_REPLACED' })
    const fee = (first.maxFeePerGas ?? 0n) * 2n
    await wallet.sendTransaction({ to: wallet.address, nonce, value: 1n, maxFeePerGas: fee, maxPriorityFeePerGas: fee })
    await devnet.mine()
    await devnet.mine()
    await replaced
    provider.destroy()
  })
})
