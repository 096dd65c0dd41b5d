import { VoucherReceiptVerifier__factory } from '@opg/bindings'
import { MaxUint256, type Wallet, concat, toBeHex } from 'ethers'
import { type Hex, MAX_UINT96, PERMIT2, parseAddress } from '@opg/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  approveEscrow,
  approvePermit2,
  createSession,
  fetchSettlements,
  keyEvidence,
  memoryReceiptLog,
  openFunded,
  openGasless,
  openReceiptBook,
  openVia,
  orderStatus,
  prepareGaslessStart,
  reclaim,
  signGaslessStart,
  verifyFraud,
} from '../src/index.js'
import { AMOUNT, ChainWorld, WINDOW } from './support/chainWorld.js'
import { FEE, FakeNode } from './support/fakeNode.js'
import { addressOf, asHex } from './support/world.js'

let world: ChainWorld
let relayer: Wallet
let node: Wallet

beforeAll(async () => {
  world = await ChainWorld.start()
  relayer = world.walletAt(2)
  node = world.walletAt(10)
})
afterAll(async () => {
  await world.stop()
})

const directTerms = () => world.termsOf({ node: addressOf(node) })

async function prepareStart(payer: Wallet, change: { readonly amount?: bigint; readonly nonce?: bigint } = {}) {
  const terms = directTerms()
  const { nonce = 0n, ...approval } = change
  const work = await world.prepareOrder(payer, { terms, nonce })
  return {
    terms,
    work,
    start: await prepareGaslessStart(world.devnet.provider, { escrow: world.escrow, work, ...approval }),
  }
}

describe('a gasless start', () => {
  it('needs two signatures of the payer and no gas: approval and order in one transaction', async () => {
    const payer = await world.newPayer({ gas: false })
    const { terms, work, start } = await prepareStart(payer)
    expect(start.permit).toMatchObject({ owner: payer.address, value: MaxUint256, deadline: work.deadline })
    const { signed, permit } = await signGaslessStart(payer, start)
    const opening = { escrow: world.escrow, terms, signed, permit }
    expect(await openGasless(relayer, opening)).toMatchObject({ status: 'opened', orderId: work.orderId })
    expect(await world.devnet.provider.getBalance(payer.address)).toBe(0n)
    expect(await openGasless(relayer, opening)).toEqual({ status: 'already-open', orderId: work.orderId })

    const next = await prepareStart(payer, { nonce: 1n })
    expect(next.start.permit).toBeNull()
    const again = await signGaslessStart(payer, next.start)
    expect(again.permit).toBeNull()
    expect(await openGasless(relayer, { escrow: world.escrow, terms, ...again })).toMatchObject({ status: 'opened' })
  })

  it('approves exactly what is asked for, where it is asked for', async () => {
    const payer = await world.newPayer({ gas: false })
    const { terms, start } = await prepareStart(payer, { amount: AMOUNT })
    const signatures = await signGaslessStart(payer, start)
    expect((await openGasless(relayer, { escrow: world.escrow, terms, ...signatures })).status).toBe('opened')
    expect(await world.devnet.contracts.token.allowance(payer.address, PERMIT2)).toBe(0n)
    await expect(prepareStart(payer, { amount: AMOUNT - 1n })).rejects.toMatchObject({ field: 'amount' })
  })

  it('a stranger sends the approval first: the order opens all the same', async () => {
    const payer = await world.newPayer({ gas: false })
    const { terms, work, start } = await prepareStart(payer)
    const { signed, permit } = await signGaslessStart(payer, start)
    if (permit === null) throw new TypeError('no permit')
    const { v, r, s } = splitSignature(permit.signature)
    const { token } = world.devnet.contracts
    await (await token.permit(permit.owner, PERMIT2, permit.value, permit.deadline, v, r, s)).wait()
    const opening = { escrow: world.escrow, terms, signed, permit }
    expect(await openGasless(relayer, opening)).toMatchObject({ status: 'opened', orderId: work.orderId })
  })

  it('a relayer changes the approval or the terms: nothing opens, and no gas is spent', async () => {
    const payer = await world.newPayer({ gas: false })
    const { terms, start } = await prepareStart(payer)
    const { signed, permit } = await signGaslessStart(payer, start)
    if (permit === null) throw new TypeError('no permit')
    const opening = { escrow: world.escrow, terms, signed, permit }
    const gas = await world.devnet.provider.getBalance(relayer.address)
    const changed = { ...opening, permit: { ...permit, value: permit.value - 1n } }
    expect((await openGasless(relayer, changed)).status).toBe('refused')
    const elsewhere = { ...opening, terms: { ...terms, node: addressOf(relayer) } }
    expect(await openGasless(relayer, elsewhere)).toMatchObject({ status: 'refused', reason: 'InvalidSigner' })
    expect(await world.devnet.provider.getBalance(relayer.address)).toBe(gas)
  })

  it('is signed by the payer, and by a key', async () => {
    const payer = await world.newPayer({ gas: false })
    const { start } = await prepareStart(payer)
    await expect(signGaslessStart(relayer, start)).rejects.toMatchObject({ code: 'SIGNER_MISMATCH' })
    const wallet = Object.assign(Object.create(payer) as Wallet, {
      signTypedData: () => Promise.resolve(`0x${'5a'.repeat(300)}`),
    })
    await expect(signGaslessStart(wallet, start)).rejects.toMatchObject({ field: 'order.payer' })
  })

  it('names a token that takes no approval by signature', async () => {
    const payer = await world.newPayer()
    const work = await world.prepareOrder(payer, { terms: directTerms() })
    const { provider, deployment } = world.devnet
    // An ERC-20 without EIP-2612: answers every call with one zero word.
    const token = parseAddress(`0x${'7e'.repeat(20)}`)
    await provider.send('anvil_setCode', [token, '0x60205ff3'])
    const escrow = { ...world.escrow, token }
    await expect(prepareGaslessStart(provider, { escrow, work })).rejects.toMatchObject({
      code: 'PERMIT_UNSUPPORTED',
      token,
    })
    const none = { ...world.escrow, token: deployment.feePolicy }
    await expect(prepareGaslessStart(provider, { escrow: none, work })).rejects.toMatchObject({
      code: 'CONTRACT_NOT_FOUND',
      field: 'token',
    })
  })
})

describe('openFunded', () => {
  it('opens with the sender’s tokens what is the payer’s, and gives the rest to the payer', async () => {
    const payer = await world.newPayer({ gas: false })
    const sponsor = await world.newPayer()
    const work = await world.prepareOrder(payer, { terms: directTerms() })
    const target = { escrow: world.escrow, terms: work.terms, order: work.order }
    expect((await openFunded(sponsor, target)).status).toBe('refused')
    const allowed = { escrow: world.escrow, amount: AMOUNT }
    expect((await approveEscrow(sponsor, allowed)).status).toBe('approved')
    expect((await approveEscrow(sponsor, allowed)).status).toBe('already')
    expect(await openFunded(sponsor, target)).toMatchObject({ status: 'opened', orderId: work.orderId })
    expect((await openFunded(sponsor, target)).status).toBe('already-open')

    const { token } = world.devnet.contracts
    const [before, sponsored] = [await token.balanceOf(payer.address), await token.balanceOf(sponsor.address)]
    await world.devnet.increaseTime(WINDOW + 1)
    expect((await reclaim(relayer, target)).status).toBe('reclaimed')
    expect(await token.balanceOf(payer.address)).toBe(before + AMOUNT)
    expect(await token.balanceOf(sponsor.address)).toBe(sponsored)
  })
})

describe('openVia', () => {
  /** A funder that sends `AMOUNT` of its own tokens to whoever calls, or reverts. */
  async function deployFunder(): Promise<ReturnType<typeof parseAddress>> {
    const funder = parseAddress(`0x${'f0'.repeat(20)}`)
    const code = [
      '63a9059cbb 60e0 1b 6000 52', // transfer(
      '33 6004 52', // caller,
      `61${toBeHex(AMOUNT, 2).slice(2)} 6024 52`, // AMOUNT)
      `6020 6000 6044 6000 6000 73${world.escrow.token.slice(2)} 5a f1`, // of the token
      '15 603b 57 00 5b 5f 5f fd', // or revert
    ]
    await world.devnet.provider.send('anvil_setCode', [funder, `0x${code.join('').replaceAll(' ', '')}`])
    return funder
  }

  it('opens with what a funder contract delivers, and not without', async () => {
    const payer = await world.newPayer({ gas: false })
    const funder = await deployFunder()
    const work = await world.prepareOrder(payer, { terms: directTerms() })
    const target = { escrow: world.escrow, terms: work.terms, order: work.order, funder, data: '0x' as Hex }
    expect((await openVia(relayer, target)).status).toBe('refused')
    await world.devnet.mint(funder, 2n * AMOUNT)
    const less = await world.prepareOrder(payer, { terms: directTerms(), amount: AMOUNT - 1n })
    expect(await openVia(relayer, { ...target, order: less.order })).toMatchObject({
      status: 'refused',
      reason: 'AmountMismatch',
    })
    expect(await openVia(relayer, target)).toMatchObject({ status: 'opened', orderId: work.orderId })
    expect((await openVia(relayer, target)).status).toBe('already-open')
    await expect(openVia(relayer, { ...target, data: '0x1' })).rejects.toMatchObject({ field: 'data' })
  })
})

describe('approvals', () => {
  it('of Permit2 are for the largest order, and of the escrow for just the amount', async () => {
    const payer = await world.newPayer()
    await approvePermit2(payer, { token: world.escrow.token })
    await approveEscrow(payer, { escrow: world.escrow, amount: 5n })
    const { token } = world.devnet.contracts
    expect(await token.allowance(payer.address, PERMIT2)).toBeGreaterThan(MAX_UINT96)
    expect(await token.allowance(payer.address, world.escrow.escrow)).toBe(5n)
  })
})

describe('vouchers on chain', () => {
  /** A session with vouchers on an order that the chain's VoucherReceiptVerifier judges. */
  async function start() {
    const payer = await world.newPayer()
    const contract = await new VoucherReceiptVerifier__factory(relayer).deploy()
    const terms = world.termsOf({ node: addressOf(node), verifier: parseAddress(await contract.getAddress()) })
    const work = await world.openOrder(payer, { terms })
    const http = await FakeNode.start({ wallet: node, escrow: world.escrow, vouchers: true })
    const against = { escrow: world.escrow, terms, order: work.order, evidence: keyEvidence(terms) }
    const book = await openReceiptBook({ ...against, log: memoryReceiptLog() })
    const now = await world.devnet.now()
    const parts = { nodeUrl: http.url, fetch, requester: payer, book, now: () => now, vouchers: true }
    const opened = await createSession(parts)
    if (opened.status === 'refused') throw new TypeError(opened.detail)
    const settle = async (cumulativeFee: bigint) => {
      const settlement = http.settlementOf(work.orderId, { cumulativeFee })
      const voucher = http.vouchers.get(work.orderId)
      if (voucher === undefined) throw new TypeError('no voucher')
      const {
        voucher: { maxCumulativeFee },
        signature,
      } = voucher
      const evidence = concat([http.evidenceFor(settlement), toBeHex(maxCumulativeFee, 12), signature])
      const row = { ...settlement, order: work.order }
      return (await world.devnet.contracts.escrow.settle(terms, [row], evidence)).wait()
    }
    const settlements = () =>
      fetchSettlements(world.devnet.provider, { escrow: world.escrow, orderId: work.orderId, fromBlock: 0 })
    return { work, http, against, book, session: opened.session, settle, settlements }
  }

  it('release what was billed, by the voucher of the last request', async () => {
    const { work, http, book, session, settle, settlements } = await start()
    for (let i = 0; i < 3; i++) await session.infer({}, { maxFee: 2n * FEE })
    await settle(3n * FEE)
    const [event] = await settlements()
    if (event === undefined) throw new TypeError('no settlement')
    expect(book.checkSettlement(event)).toEqual({ status: 'consistent' })
    expect((await orderStatus(world.devnet.provider, { escrow: world.escrow, ...work })).status).toBe('closed')
    await http.stop()
  })

  it('node claims the voucher above the receipts: the chain pays no more than the voucher, and the book proves it', async () => {
    const { http, against, book, session, settle, settlements } = await start()
    for (let i = 0; i < 2; i++) await session.infer({}, { maxFee: 2n * FEE })
    const allowed = book.vouched
    expect(allowed).toBe(3n * FEE)
    await expect(settle(allowed + 1n)).rejects.toMatchObject({ code: 'CALL_EXCEPTION' })
    await settle(allowed)
    const [event] = await settlements()
    if (event === undefined) throw new TypeError('no settlement')
    const checked = book.checkSettlement(event)
    expect(checked).toMatchObject({ status: 'fraud', proof: { kind: 'settlement-above-receipt' } })
    if (checked.status === 'fraud') expect(verifyFraud(checked.proof, against).status).toBe('proven')
    await http.stop()
  })
})

function splitSignature(signature: Hex) {
  return {
    r: asHex(`0x${signature.slice(2, 66)}`),
    s: asHex(`0x${signature.slice(66, 130)}`),
    v: Number(`0x${signature.slice(130)}`),
  }
}
