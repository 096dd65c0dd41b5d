import { Wallet } from 'ethers'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { errorOf } from '../support/buyer.js'
import { answer, openShop } from './support/shop.js'
import { OPG, SellWorld } from './support/world.js'

const CAP = OPG / 20n
const POST = { method: 'POST' } as const

describe('what a seller has earned', () => {
  let world: SellWorld
  beforeAll(async () => {
    world = await SellWorld.start()
  })
  afterEach(async () => {
    await world.untilAllClosed()
    await world.stopSellers()
  })
  afterAll(() => world.stop())

  const balanceOf = (account: string): Promise<bigint> => world.devnet.contracts.token.balanceOf(account)

  it('is the fee less the share of the network, and goes to a key that never had gas, by the gas of another', async () => {
    const key = Wallet.createRandom()
    const { url, seller } = await openShop(world, answer, { signer: key })
    expect(await seller.credits()).toBe(0n)
    const { payer } = await world.money()
    expect((await world.payFetch(url, POST)).status).toBe(200)
    await world.untilAllClosed()
    expect(payer - (await world.money()).payer).toBe(CAP)

    const earned = CAP - (CAP * 500n) / 10_000n // a devnet's network takes 500 basis points
    expect([await seller.credits(), await balanceOf(key.address)]).toEqual([earned, 0n])
    expect(await seller.claim(world.devnet.wallets[6])).toBe(earned)
    expect([await seller.credits(), await balanceOf(key.address)]).toEqual([0n, earned])
    expect(await world.devnet.provider.getBalance(key.address)).toBe(0n)
  })

  it('is claimed by the account that settles, which sends one transaction after another', async () => {
    const sender = world.devnet.wallets[6]
    const { url, seller } = await openShop(world, answer, { direct: { signer: sender } })
    expect((await world.payFetch(url, POST)).status).toBe(200)
    await world.untilAllClosed()
    const before = await balanceOf(world.node.address)
    const credits = await seller.credits()
    const [first, second] = await Promise.all([seller.claim(), seller.claim()])
    expect([first, second]).toEqual([credits, 0n])
    expect((await balanceOf(world.node.address)) - before).toBe(credits)
  })

  it('sends nothing where there is nothing to claim', async () => {
    const sender = world.devnet.wallets[6]
    const seller = await world.seller({ signer: Wallet.createRandom() })
    const nonce = await sender.getNonce()
    expect(await seller.claim(sender)).toBe(0n)
    expect(await sender.getNonce()).toBe(nonce)
  })

  it('is not claimed without somebody who pays the gas', async () => {
    const seller = await world.seller()
    expect(await errorOf(seller.claim())).toMatchObject({ code: 'SELLER_SETTING_INVALID', setting: 'sender' })
  })

  it('is not claimed by somebody without gas, who is named', async () => {
    const { url, seller } = await openShop(world)
    expect((await world.payFetch(url, POST)).status).toBe(200)
    await world.untilAllClosed()
    const poor = Wallet.createRandom()
    const error = await errorOf(seller.claim(poor))
    expect(error).toMatchObject({ code: 'SELLER_SETTING_INVALID', setting: 'sender' })
    expect(String(error)).toContain(poor.address)
    expect(await seller.claim(world.devnet.wallets[6])).toBeGreaterThan(0n)
  })
})
