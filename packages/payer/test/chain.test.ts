import { generateKeyPairSync } from 'node:crypto'
import { type Devnet, startDevnet } from '@opg/devnet'
import { JsonRpcProvider, MaxUint256, Wallet, id, keccak256, toQuantity } from 'ethers'
import { PERMIT2, type Terms, ZERO_ADDRESS, ZERO_BYTES32, parseAddress } from '@opg/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type EscrowInfo,
  approvePermit2,
  createWorkOrder,
  fetchSettlements,
  fetchTeeKey,
  nextPermit2Nonce,
  openBatch,
  openOrder,
  orderStatus,
  readEscrow,
  reclaim,
  reclaimMany,
  signWorkOrder,
  watchOrder,
} from '../src/index.js'
import { asHex } from './support/world.js'

const AMOUNT = 1_000n
const WINDOW = 600
let devnet: Devnet
let escrow: EscrowInfo
let terms: Terms
let payer: Wallet
let relayer: Wallet
let payers = 0

beforeAll(async () => {
  devnet = await startDevnet()
  escrow = await readEscrow(devnet.provider, devnet.deployment.escrow)
  terms = {
    node: parseAddress(walletAt(1).address),
    facilitator: ZERO_ADDRESS,
    facilitatorBps: 0,
    verifier: devnet.deployment.keyReceiptVerifier,
    evidenceKey: ZERO_BYTES32,
    modelId: ZERO_BYTES32,
  }
  relayer = walletAt(2)
}, 60_000)
afterAll(async () => {
  await devnet.stop()
})
// A payer without a history for each test.
beforeEach(async () => {
  payer = new Wallet(id(`payer ${(payers++).toString()}`), devnet.provider)
  await devnet.provider.send('anvil_setBalance', [payer.address, toQuantity(10n ** 18n)])
  await devnet.mint(payer.address, 100n * AMOUNT)
})

function walletAt(i: number): Wallet {
  const wallet = devnet.wallets[i]
  if (wallet === undefined) throw new TypeError(`no wallet ${i.toString()}`)
  return wallet
}

async function signOrder(change: { readonly nonce?: bigint; readonly amount?: bigint } = {}) {
  const now = await devnet.now()
  const prepared = createWorkOrder({
    escrow,
    terms,
    payer: parseAddress(payer.address),
    amount: AMOUNT,
    nonce: 0n,
    claimBy: now + WINDOW,
    now,
    ...change,
  })
  return { terms, prepared, order: prepared.order, signed: await signWorkOrder(payer, prepared) }
}

async function openedOrder(nonce = 0n) {
  await approvePermit2(payer, { token: escrow.token })
  const order = await signOrder({ nonce })
  const opened = await openOrder(relayer, { escrow, terms, signed: order.signed })
  expect(opened.status).toBe('opened')
  return order
}

/** Puts the next block, and so also what a call sees, at a time. */
async function nextBlockAt(seconds: number): Promise<void> {
  await devnet.provider.send('evm_setNextBlockTimestamp', [seconds])
}

describe('readEscrow', () => {
  it('reads chain and token, and refuses an address without an escrow', async () => {
    expect(escrow).toEqual({
      chainId: BigInt(devnet.chainId),
      deploymentChainId: BigInt(devnet.chainId),
      escrow: devnet.deployment.escrow,
      token: devnet.deployment.token,
    })
    const wrong = { code: 'CONTRACT_NOT_FOUND', field: 'escrow' }
    await expect(readEscrow(devnet.provider, parseAddress(payer.address))).rejects.toMatchObject(wrong)
    await expect(readEscrow(devnet.provider, devnet.deployment.feePolicy)).rejects.toMatchObject(wrong)
  })

  it('a chain that does not answer is unavailable, not wrong', async () => {
    const dead = new JsonRpcProvider('http://127.0.0.1:1', devnet.chainId, { staticNetwork: true })
    await expect(readEscrow(dead, escrow.escrow)).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' })
    dead.destroy()
  })
})

describe('approvePermit2', () => {
  it('approves once, without a limit', async () => {
    expect((await approvePermit2(payer, { token: escrow.token })).status).toBe('approved')
    expect(await devnet.contracts.token.allowance(payer.address, PERMIT2)).toBe(MaxUint256)
    expect(await approvePermit2(payer, { token: escrow.token })).toEqual({ status: 'already', txHash: null })
  })

  it('approves exactly what is asked for, where it is asked for', async () => {
    await approvePermit2(payer, { token: escrow.token, amount: AMOUNT })
    expect(await devnet.contracts.token.allowance(payer.address, PERMIT2)).toBe(AMOUNT)
    expect((await approvePermit2(payer, { token: escrow.token, amount: AMOUNT })).status).toBe('already')
    expect((await approvePermit2(payer, { token: escrow.token, amount: AMOUNT + 1n })).status).toBe('approved')
    expect((await approvePermit2(payer, { token: escrow.token })).status).toBe('approved')
  })

  it('refuses an address that is no token', async () => {
    const token = parseAddress(payer.address)
    await expect(approvePermit2(payer, { token })).rejects.toMatchObject({ code: 'CONTRACT_NOT_FOUND', field: 'token' })
  })
})

describe('an order', () => {
  it('is approved, signed, opened by a relayer, and reclaimed not before claimBy', async () => {
    const { order, prepared, signed } = await openedOrder()
    const target = { escrow, terms, order }
    expect(await openOrder(relayer, { escrow, terms, signed })).toEqual({
      status: 'already-open',
      orderId: prepared.orderId,
    })
    expect(await orderStatus(devnet.provider, target)).toMatchObject({
      status: 'open',
      orderId: prepared.orderId,
      amount: AMOUNT,
      released: 0n,
      held: AMOUNT,
      reserved: 0n,
      reclaimableAt: order.claimBy,
      networkBps: 500,
    })

    const before = await devnet.contracts.token.balanceOf(payer.address)
    await devnet.increaseTime(WINDOW - 30)
    await nextBlockAt(order.claimBy - 1)
    await devnet.mine(1)
    expect((await orderStatus(devnet.provider, target)).status).toBe('open')
    await nextBlockAt(order.claimBy)
    await devnet.mine(1)
    expect((await orderStatus(devnet.provider, target)).status).toBe('reclaimable')
    const reclaimed = await reclaim(relayer, target)
    expect(reclaimed).toMatchObject({ status: 'reclaimed', orderId: prepared.orderId, refund: AMOUNT })
    expect(await devnet.contracts.token.balanceOf(payer.address)).toBe(before + AMOUNT)
    expect((await reclaim(relayer, target)).status).toBe('closed')
    expect(await orderStatus(devnet.provider, target)).toMatchObject({ status: 'closed', amount: AMOUNT })
    expect((await openOrder(relayer, { escrow, terms, signed })).status).toBe('already-open')
  })

  it.each([
    [-1, 'too-early'],
    [0, 'reclaimed'],
    [1, 'reclaimed'],
  ])('at claimBy %i s, reclaim says', async (shift, status) => {
    const { order } = await openedOrder()
    // anvil runs a call at the latest block's time, and the transaction in the next block, here the same second.
    await nextBlockAt(order.claimBy + shift)
    await devnet.mine(1)
    if (status === 'reclaimed') {
      expect((await reclaim(relayer, { escrow, terms, order })).status).toBe(status)
      return
    }
    expect(await reclaim(relayer, { escrow, terms, order })).toMatchObject({ status, claimBy: order.claimBy })
  })

  it('that nobody opened is unknown', async () => {
    const { order } = await signOrder()
    expect((await orderStatus(devnet.provider, { escrow, terms, order })).status).toBe('unknown')
    await nextBlockAt(order.claimBy)
    await devnet.mine(1)
    expect((await reclaim(relayer, { escrow, terms, order })).status).toBe('unknown')
  })

  it('without an approval, or with a stranger’s signature, is refused before gas is spent', async () => {
    const { signed } = await signOrder()
    const gasBefore = await devnet.provider.getBalance(relayer.address)
    expect(await openOrder(relayer, { escrow, terms, signed })).toMatchObject({ status: 'refused' })
    await approvePermit2(payer, { token: escrow.token })
    const other = await signOrder({ nonce: 1n })
    const forged = { ...signed, signature: other.signed.signature }
    expect(await openOrder(relayer, { escrow, terms, signed: forged })).toMatchObject({
      status: 'refused',
      reason: 'InvalidSigner',
    })
    const changed = { ...signed, order: { ...signed.order, claimBy: signed.order.claimBy + 1 } }
    expect((await openOrder(relayer, { escrow, terms, signed: changed })).status).toBe('refused')
    expect(await devnet.provider.getBalance(relayer.address)).toBe(gasBefore)
    expect((await openOrder(relayer, { escrow, terms, signed })).status).toBe('opened')
  })

  it('is watched until it is closed', async () => {
    const { order } = await openedOrder()
    const seen: string[] = []
    for await (const { status } of watchOrder(devnet.provider, { escrow, terms, order, pollMs: 10 })) {
      seen.push(status)
      if (status === 'open') {
        await nextBlockAt(order.claimBy)
        await devnet.mine(1)
      }
      if (status === 'reclaimable') await reclaim(relayer, { escrow, terms, order })
    }
    expect(seen).toEqual(['open', 'reclaimable', 'closed'])
  })
})

describe('nextPermit2Nonce', () => {
  it('gives the lowest that Permit2 has not seen and nobody has in flight', async () => {
    const next = (inFlight: readonly bigint[] = []) =>
      nextPermit2Nonce(devnet.provider, { payer: parseAddress(payer.address), inFlight })
    expect(await next()).toBe(0n)
    await openedOrder(0n)
    await openedOrder(2n)
    expect(await next()).toBe(1n)
    expect(await next([1n])).toBe(3n)
    expect(await next(Array.from({ length: 256 }, (_, i) => BigInt(i)))).toBe(256n)
  })
})

describe('openBatch', () => {
  it('opens the others where one has a bad signature, one no money and one is open already', async () => {
    const known = await openedOrder(0n)
    const good = [await signOrder({ nonce: 1n }), await signOrder({ nonce: 2n })]
    const forged = await signOrder({ nonce: 3n })
    const rich = await signOrder({ nonce: 4n, amount: 10_000n * AMOUNT })
    const signedOrders = [
      ...good.slice(0, 1).map(({ signed }) => signed),
      { ...forged.signed, signature: known.signed.signature },
      known.signed,
      rich.signed,
      ...good.slice(1).map(({ signed }) => signed),
    ]
    const batch = await openBatch(relayer, { escrow, terms, signedOrders })
    expect(batch).toMatchObject({
      status: 'sent',
      orders: [
        { status: 'opened', orderId: good[0]?.prepared.orderId },
        { status: 'failed', orderId: forged.prepared.orderId, reason: 'InvalidSigner' },
        { status: 'already-open', orderId: known.prepared.orderId },
        { status: 'failed', orderId: rich.prepared.orderId },
        { status: 'opened', orderId: good[1]?.prepared.orderId },
      ],
    })
    const again = await openBatch(relayer, { escrow, terms, signedOrders: signedOrders.slice(0, 2) })
    expect(again).toMatchObject({
      status: 'nothing-to-open',
      orders: [{ status: 'already-open' }, { status: 'failed' }],
    })
  })

  it('says that a pull may need more gas, where an order fails only in the batch', async () => {
    await approvePermit2(payer, { token: escrow.token })
    const { signed } = await signOrder()
    const starved = await openBatch(relayer, { escrow, terms, signedOrders: [signed], gasPerOrder: 1_000 })
    expect(starved).toMatchObject({ status: 'nothing-to-open', orders: [{ status: 'failed', reason: 'PullFailed' }] })
    expect((await openBatch(relayer, { escrow, terms, signedOrders: [signed] })).status).toBe('sent')
  })

  it('says what all orders of a batch share and the escrow refuses', async () => {
    const { signed } = await signOrder()
    const withoutCode = { ...terms, verifier: parseAddress(payer.address) }
    expect(await openBatch(relayer, { escrow, terms: withoutCode, signedOrders: [signed] })).toMatchObject({
      status: 'refused',
      reason: 'VerifierWithoutCode',
    })
  })

  it.each([
    [{ signedOrders: [] }, 'signedOrders'],
    [{ gasPerOrder: 0 }, 'gasPerOrder'],
    [{ gasPerOrder: 1.5 }, 'gasPerOrder'],
  ])('refuses %o', async (change, field) => {
    const { signed } = await signOrder()
    const options = { escrow, terms, signedOrders: [signed], ...change }
    await expect(openBatch(relayer, options)).rejects.toMatchObject({ field })
  })

  it('names the order whose member is wrong', async () => {
    const { signed } = await signOrder()
    const short = { ...signed, signature: asHex('0x1234') }
    await expect(openBatch(relayer, { escrow, terms, signedOrders: [signed, short] })).rejects.toMatchObject({
      field: 'signedOrders[1].signature',
    })
  })
})

describe('reclaimMany', () => {
  it('returns those that expired in one transaction, and says why not for the others', async () => {
    const orders = [await openedOrder(0n), await openedOrder(1n), await openedOrder(2n)]
    const unopened = await signOrder({ nonce: 9n })
    await devnet.increaseTime(WINDOW + 10)
    const late = await openedOrder(3n)
    const [first] = orders
    if (first !== undefined) await reclaim(relayer, { escrow, ...first })

    const results = await reclaimMany(relayer, { escrow, orders: [...orders, unopened, late, ...orders.slice(1, 2)] })
    expect(results.map(({ status }) => status)).toEqual([
      'closed',
      'reclaimed',
      'reclaimed',
      'unknown',
      'too-early',
      'reclaimed',
    ])
    const hashes = results.flatMap((result) => (result.status === 'reclaimed' ? [result.txHash] : []))
    expect(new Set(hashes).size).toBe(1)
    expect(await reclaimMany(relayer, { escrow, orders: [] })).toEqual([])
  })
})

describe('fetchSettlements', () => {
  it('reads what evidence settled', async () => {
    const { order, prepared } = await openedOrder()
    const settlement = {
      orderId: prepared.orderId,
      cumulativeFee: 10n,
      receiptsRoot: asHex(`0x${'0a'.repeat(32)}`),
      receiptCount: 3n,
    }
    const node = walletAt(1)
    const digest = await devnet.contracts.escrow.settlementDigest(terms.node, terms.evidenceKey, [
      { ...settlement, close: true },
    ])
    const row = { order, ...settlement, close: true }
    const sent = await devnet.contracts.escrow.settle(terms, [row], node.signingKey.sign(digest).serialized)
    await sent.wait()
    expect(await fetchSettlements(devnet.provider, { escrow, orderId: prepared.orderId, fromBlock: 0 })).toEqual([
      { ...settlement, refund: AMOUNT - 10n, transactionHash: sent.hash },
    ])
  })
})

describe('fetchTeeKey', () => {
  it('takes an enabled enclave’s key, and neither a disabled nor an unknown one', async () => {
    const { teeRegistry } = devnet.contracts
    const registry = devnet.deployment.teeRegistry
    if (registry === null) throw new TypeError('the devnet has no TEE registry')
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
    const der = asHex(`0x${publicKey.export({ format: 'der', type: 'spki' }).toString('hex')}`)
    const teeId = asHex(keccak256(der))
    await expect(fetchTeeKey(devnet.provider, { registry, teeId })).rejects.toMatchObject({ code: 'TEE_KEY_INVALID' })

    const owner = walletAt(1)
    await (await teeRegistry.connect(owner).register(der, payer.address, '', 0)).wait()
    expect(await fetchTeeKey(devnet.provider, { registry, teeId })).toEqual({
      teeId,
      publicKey: der,
      owner: owner.address,
    })
    await (await teeRegistry.connect(owner).disableTEE(teeId)).wait()
    await expect(fetchTeeKey(devnet.provider, { registry, teeId })).rejects.toMatchObject({ found: 'a disabled one' })
  })
})
