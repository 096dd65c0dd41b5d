import type { Address } from '@opg/protocol'
import { Wallet } from 'ethers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readApprovalDomain } from '../../src/chain/approvalDomain.js'
import { startCli, type RunningCli } from '../cli/testEdge.js'
import { speak } from '../standInLlm.js'
import { CHAT, OPG, openShop, until, type Shop } from './shop.js'
import { JSON_TYPE, askFor, pay, settledOf, stockClient, stockFetch, verdict } from './stockClient.js'

describe('stock clients that never approved Permit2', () => {
  let shop: Shop
  let serving: RunningCli
  let chat: string
  /** With one OPG, and nothing to pay gas with. */
  const newcomer = async (): Promise<Wallet> => {
    const payer = new Wallet(Wallet.createRandom().privateKey, shop.devnet.provider)
    await shop.devnet.mint(payer.address, OPG)
    return payer
  }

  beforeAll(async () => {
    shop = await openShop()
    shop.llm.behave(speak(['Hello'], { prompt: 5, completion: 1 }))
    serving = startCli(['serve', '--json'], shop.environment)
    chat = `${((await serving.line()) as { url: string }).url}/v1/chat/completions`
    // What the facilitator takes is asked once the node serves.
    await until(async () => (await askFor(chat, CHAT)).extensions !== undefined)
  }, 120_000)
  afterAll(async () => {
    serving.stop()
    await serving.done
    await shop.stop()
  })

  it('pay with one call and no transaction: the facilitator sends their approval', async () => {
    const { devnet } = shop
    const payer = await newcomer()
    const { fetch: fetchPaid, sent } = stockFetch(payer, { rpcUrl: devnet.rpcUrl })
    const response = await fetchPaid(chat, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(CHAT) })
    expect(await verdict(response)).toBe('200')
    expect(sent).toHaveLength(1)
    const [orderId] = await shop.ordersOf(payer.address)
    await until(() => shop.isClosed(orderId))
    expect(await devnet.provider.getTransactionCount(payer.address)).toBe(0)
    expect(await shop.balance(payer.address)).toBe(OPG - BigInt(settledOf(response).amount ?? ''))
  })

  it('are told the domain of the token, and none where there are no approvals by signature', async () => {
    const { provider, deployment } = shop.devnet
    const domainOf = (token: Address): ReturnType<typeof readApprovalDomain> =>
      readApprovalDomain(provider, { token, chainId: 31_337n })
    expect(await domainOf(deployment.token)).toEqual({ name: 'OpenGradient (development)', version: '1' })
    expect(await domainOf(deployment.escrow)).toBeUndefined()
    expect(await domainOf('0x1111111111111111111111111111111111111111')).toBeUndefined()
    // What is signed for another domain would be refused.
    expect(await readApprovalDomain(provider, { token: deployment.token, chainId: 1n })).toBeUndefined()
  })

  it("approval that is stripped, altered or another's: refused, nothing is locked, and the payer's own does", async () => {
    const { devnet } = shop
    const payer = await newcomer()
    const client = stockClient(payer, { rpcUrl: devnet.rpcUrl })
    const payment = await client.createPaymentPayload(await askFor(chat, CHAT))
    const { info } = payment.extensions?.['eip2612GasSponsoring'] as { readonly info: Record<string, unknown> }
    const withInfo = (change: object) => ({ eip2612GasSponsoring: { info: { ...info, ...change } } })
    const twins = [
      {},
      withInfo({ signature: `0x${'22'.repeat(64)}1b` }),
      withInfo({ from: devnet.wallets[5].address }),
      withInfo({ amount: '1' }),
      withInfo({ spender: devnet.wallets[5].address }),
    ]
    const computed = shop.llm.seen.length
    for (const extensions of twins) {
      expect(await verdict(await pay(chat, CHAT, { ...payment, extensions }))).toBe('402 LOCK_REFUSED')
    }
    expect(await shop.balance(payer.address)).toBe(OPG)
    expect(shop.llm.seen).toHaveLength(computed)
    expect(await verdict(await pay(chat, CHAT, payment))).toBe('200')
  })
})
