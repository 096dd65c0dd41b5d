import { PERMIT2, parseUptoExtra, parseUptoPayment, uptoFundingData, uptoOrder } from '@opg/protocol'
import type { PaymentRequirements } from '@x402/core/types'
import { MaxUint256, Wallet, id } from 'ethers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OPG, ServiceWorld, withStep, type Paid, type RunningService } from '../support/serviceWorld.js'

describe('payers and their money', () => {
  let world: ServiceWorld
  let running: RunningService
  let requirements: PaymentRequirements

  beforeAll(async () => {
    world = await ServiceWorld.start()
    running = await world.startService()
    requirements = world.uptoRequirements()
  })
  afterAll(async () => {
    await running.close()
    await world.stop()
  })

  /** A payer without a history, with gas money and OPG. */
  const newPayer = async (name: string, balance = OPG): Promise<Wallet> => {
    const { devnet } = world.chain
    const wallet = new Wallet(id(name), devnet.provider)
    await (await devnet.wallets[9].sendTransaction({ to: wallet.address, value: OPG })).wait()
    if (balance > 0n) await devnet.mint(wallet.address, balance)
    return wallet
  }
  const approve = async (wallet: Wallet, amount = MaxUint256): Promise<void> => {
    await (await world.chain.devnet.contracts.token.connect(wallet).approve(PERMIT2, amount)).wait()
  }
  const reasonOf = async (paid: Paid): Promise<string | undefined> =>
    (await running.client.verify(paid, requirements)).invalidReason
  const lock = (paid: Paid) =>
    running.client.settle(withStep(paid, world.lockStep(world.uptoOrderId(paid))), requirements)

  it('payer empties the wallet', async () => {
    const wallet = await newPayer('empties', OPG - 1n)
    await approve(wallet)
    expect(await reasonOf(await world.pay(requirements, { wallet }))).toBe('permit2_insufficient_balance')
  })

  it('payer revokes the approval', async () => {
    const wallet = await newPayer('revokes')
    await approve(wallet, OPG - 1n)
    expect(await reasonOf(await world.pay(requirements, { wallet }))).toBe('permit2_allowance_required')
    await approve(wallet, OPG)
    expect(await reasonOf(await world.pay(requirements, { wallet }))).toBeUndefined()
  })

  it('payer burns the nonce', async () => {
    const paid = await world.pay(requirements)
    const { nonce } = parseUptoPayment(paid.payload).authorization
    const permit2 = world.chain.devnet.contracts.permit2.connect(world.chain.payer)
    const burn = permit2.getFunction('invalidateUnorderedNonces')
    await (await burn.send(nonce >> 8n, 1n << (nonce & 0xffn))).wait()
    expect(await reasonOf(paid)).toBe('permit2_invalid_nonce')
    expect(await lock(paid)).toMatchObject({ success: false, errorReason: 'permit2_invalid_nonce' })
  })

  it('payer signs two permits over one balance: the second does not lock', async () => {
    const wallet = await newPayer('twice')
    await approve(wallet)
    const [one, other] = [await world.pay(requirements, { wallet }), await world.pay(requirements, { wallet })]
    const answers = await Promise.all([one, other].map(lock))
    expect(answers.filter(({ success }) => success)).toHaveLength(1)
  })

  it('stranger opens the order with the payer’s signature: it opens as it was signed, and pays for nothing here', async () => {
    const paid = await world.pay(requirements)
    const { authorization, signature } = parseUptoPayment(paid.payload)
    const { offer } = parseUptoExtra(requirements.extra)
    const { escrow, uptoAdapter } = world.chain.devnet.contracts
    const data = uptoFundingData({ claimWindow: offer.claimWindow, validAfter: authorization.validAfter, signature })
    const order = uptoOrder(offer, authorization)
    await (await escrow.openVia(await uptoAdapter.getAddress(), offer.terms, { order, data })).wait()
    expect((await escrow.orders(world.uptoOrderId(paid))).amount).toBe(OPG)
    expect(await reasonOf(paid)).toBe('payment_already_used')
    expect(await lock(paid)).toMatchObject({ success: false, errorReason: 'payment_already_used' })
  })

  describe('payers with code', () => {
    const TAKES_ALL = '0x631626ba7e60e01b60005260206000f3'
    const TAKES_NONE = '0x60006000fd'
    const setCode = (account: string, code: string): Promise<unknown> =>
      world.chain.devnet.provider.send('anvil_setCode', [account, code])

    it('are asked for their signature (ERC-1271), of any length', async () => {
      const wallet = await newPayer('wallet')
      await approve(wallet)
      const own = await world.pay(requirements, { wallet })
      const paid = { ...own, payload: { ...own.payload, signature: `0x${'77'.repeat(100)}` } }
      expect(await reasonOf(paid)).toBe('invalid_permit2_signature')
      await setCode(wallet.address, TAKES_ALL)
      expect(await reasonOf(paid)).toBeUndefined()
      expect(await lock(paid)).toMatchObject({ success: true })
    })

    it('that delegate it (EIP-7702): the key’s own signature no longer counts, as in Permit2', async () => {
      const wallet = await newPayer('delegates')
      await approve(wallet)
      const paid = await world.pay(requirements, { wallet })
      expect(await reasonOf(paid)).toBeUndefined()
      const [takesAll, takesNone] = [Wallet.createRandom().address, Wallet.createRandom().address]
      await setCode(takesAll, TAKES_ALL)
      await setCode(takesNone, TAKES_NONE)
      await setCode(wallet.address, `0xef0100${takesNone.slice(2)}`)
      expect(await reasonOf(paid)).toBe('invalid_permit2_signature')
      await setCode(wallet.address, `0xef0100${takesAll.slice(2)}`)
      expect(await reasonOf(paid)).toBeUndefined()
      expect(await lock(paid)).toMatchObject({ success: true })
    })
  })

  describe('first approval (EIP-2612)', () => {
    let wallet: Wallet
    let paid: Paid
    let info: Record<string, unknown>

    beforeAll(async () => {
      wallet = await newPayer('sponsored')
      paid = await world.pay(requirements, { wallet, sponsored: true })
      info = (paid.extensions as { readonly eip2612GasSponsoring: { readonly info: Record<string, unknown> } })
        .eip2612GasSponsoring.info
    })
    const withInfo = (change: Record<string, unknown>): Paid => ({
      ...paid,
      extensions: { eip2612GasSponsoring: { info: { ...info, ...change } } },
    })

    it.each<[string, string, Record<string, unknown>]>([
      ['another payer', 'eip2612_from_mismatch', { from: PERMIT2 }],
      ['another token', 'eip2612_asset_mismatch', { asset: PERMIT2 }],
      ['another spender', 'eip2612_spender_not_permit2', { spender: '0x90F79bf6EB2c4f870365E785982E1f101E93b906' }],
      ['less than the payment', 'permit2_2612_amount_mismatch', { amount: (OPG - 1n).toString() }],
      ['a deadline that is over', 'eip2612_deadline_expired', { deadline: '5' }],
      ['no signature', 'invalid_eip2612_extension_format', { signature: '0x' }],
      ['another signature', 'permit2_allowance_required', { signature: `0x${'12'.repeat(64)}1b` }],
    ])('%s: %s', async (_, reason, change) => {
      expect(await reasonOf(withInfo(change))).toBe(reason)
    })

    it('is refused where it is not paid for here', async () => {
      const plain = await world.startService({ engine: running.engine, policy: { sponsorsApprovals: false } })
      expect((await plain.client.getSupported()).extensions).toEqual([])
      expect((await plain.client.verify(paid, requirements)).invalidReason).toBe('permit2_allowance_required')
      await plain.close()
    })

    it('is sent along: a payer who never sent a transaction pays', async () => {
      expect((await running.client.getSupported()).extensions).toEqual(['eip2612GasSponsoring'])
      expect(await reasonOf(paid)).toBeUndefined()
      expect(await lock(paid)).toMatchObject({ success: true })
      expect(await world.chain.devnet.provider.getTransactionCount(wallet.address)).toBe(0)
    })
  })
})
