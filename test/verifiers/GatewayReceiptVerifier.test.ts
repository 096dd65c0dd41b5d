import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress, ZeroHash, concat, dataLength, dataSlice, getBytes, id, keccak256, zeroPadValue } from 'ethers'
import type { DevTEERegistry } from '../../packages/bindings/src/generated/typechain/contracts/dev/DevTEERegistry'
import type { GatewayReceiptVerifier } from '../../packages/bindings/src/generated/typechain/contracts/verifiers/GatewayReceiptVerifier'
import { newRsaKey, signPss, type RsaKey } from '../crypto/pss'
import {
  DAY,
  OPG,
  deploy,
  deployAround,
  deployFixture,
  makeOrder,
  now,
  openOrder,
  orderIdOf,
  settleRow,
  type Order,
  type SettleRow,
  type Terms,
} from '../support/fixture'
import {
  ACCEPTED,
  gatewayDigest,
  judge,
  leafOf,
  packGatewayReceipt,
  shownRows,
  type GatewayReceipt,
} from '../support/evidence'

const KEY = newRsaKey(2048)
const OTHER_KEY = newRsaKey(2048)
const LONG_KEY = newRsaKey(4096)
const TEE = keccak256(KEY.der)
const INPUT = id('request with a digest of chain, escrow, payer and nonce')
const CLOSED = 2n

async function gatewayFixture() {
  const f = await deployFixture()
  const tees = await deploy<DevTEERegistry>('DevTEERegistry')
  for (const key of [KEY, OTHER_KEY, LONG_KEY]) await tees.register(key.der, ZeroAddress, '', 0)
  const verifier = await deploy<GatewayReceiptVerifier>('GatewayReceiptVerifier', [await tees.getAddress()])
  const terms: Terms = { ...f.terms, verifier: await verifier.getAddress(), evidenceKey: TEE }
  const job = { requester: f.requester.address, requestHash: INPUT }
  const { order, orderId } = await openOrder(f, { amount: OPG, job }, { terms })
  const { openedAt } = await f.escrow.orders(orderId)
  const receipt: GatewayReceipt = { inputHash: INPUT, outputHash: id('answer'), timestamp: openedAt + 5n }
  return { ...f, tees, verifier, terms, order, orderId, openedAt, receipt }
}

async function cachedFixture() {
  const f = await gatewayFixture()
  await f.verifier.cacheKey(TEE)
  return f
}
type World = Awaited<ReturnType<typeof gatewayFixture>>

/** The one row that a receipt proves; or as `changes` say. */
function rowFor(order: Order, receipt: GatewayReceipt, changes: Partial<SettleRow> = {}): SettleRow {
  return settleRow(order, order.amount, {
    receiptsRoot: leafOf(gatewayDigest(receipt)),
    receiptCount: 1n,
    close: true,
    ...changes,
  })
}

function evidenceOf(receipts: readonly GatewayReceipt[], key: RsaKey = KEY): string {
  return concat(receipts.map((receipt) => packGatewayReceipt(receipt, signPss(key, getBytes(gatewayDigest(receipt))))))
}

/** Refused through the escrow, nothing moved; and refused with the verifier's own error. */
async function expectRefused(
  f: World,
  { rows, evidence, terms = f.terms }: { rows: SettleRow[]; evidence: string; terms?: Terms },
  error: string,
  args?: readonly unknown[],
): Promise<void> {
  await expect(f.escrow.settle(terms, rows, evidence)).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
  const refusal = expect(judge(f, terms, { rows, evidence })).to.be.revertedWithCustomError(f.verifier, error)
  await (args === undefined ? refusal : refusal.withArgs(...args))
}

describe('GatewayReceiptVerifier', () => {
  for (const [when, fixture] of [
    ['when the key is not cached', gatewayFixture],
    ['when the key is cached', cachedFixture],
  ] as const) {
    context(when, () => {
      it('settles an order for one request at its fixed price', async () => {
        const f = await loadFixture(fixture)
        const row = rowFor(f.order, f.receipt)
        await expect(f.escrow.settle(f.terms, [row], evidenceOf([f.receipt])))
          .to.emit(f.escrow, 'OrderSettled')
          .withArgs(f.orderId, f.order.amount, row.receiptsRoot, 1n, 0n)
        expect((await f.escrow.orders(f.orderId)).closed).to.equal(true)
      })

      it('settles many orders, each by its own receipt', async () => {
        const f = await loadFixture(fixture)
        const { orders, receipts } = await openMany(f, 3)
        const rows = orders.map((order, i) => rowFor(order, receipts[i] ?? f.receipt))
        await f.escrow.settle(f.terms, rows, evidenceOf(receipts))
        for (const order of orders) {
          expect((await f.escrow.orders(orderIdOf(f.home, f.terms, order))).closed).to.equal(true)
        }
      })

      it('takes a longer key', async () => {
        const f = await loadFixture(fixture)
        const terms = { ...f.terms, evidenceKey: keccak256(LONG_KEY.der) }
        const { order } = await openOrder(f, { job: f.order.job }, { terms })
        await f.escrow.settle(terms, [rowFor(order, f.receipt)], evidenceOf([f.receipt], LONG_KEY))
      })
    })
  }

  it('signs as a gateway does: keccak256(inputHash ‖ outputHash ‖ uint256 timestamp), hashed once more', async () => {
    const f = await loadFixture(gatewayFixture)
    const { inputHash, outputHash, timestamp } = f.receipt
    const packed = `${inputHash}${outputHash.slice(2)}${timestamp.toString(16).padStart(64, '0')}`
    const signature = signPss(KEY, getBytes(keccak256(packed)))
    const evidence = packGatewayReceipt(f.receipt, signature)
    expect(await judge(f, f.terms, { rows: [rowFor(f.order, f.receipt)], evidence })).to.equal(ACCEPTED)
  })

  describe('F4: only one request, at the fixed price, in its time', () => {
    it('a session is no single request: refused', async () => {
      const f = await loadFixture(gatewayFixture)
      const { order, orderId } = await openOrder(f, {}, { terms: f.terms })
      const receipt = { ...f.receipt, inputHash: ZeroHash }
      const rows = [rowFor(order, receipt)]
      await expectRefused(f, { rows, evidence: evidenceOf([receipt]) }, 'RequestNotPinned', [orderId])
    })

    it('a receipt of another request pays nothing', async () => {
      const f = await loadFixture(gatewayFixture)
      const other = { ...f.receipt, inputHash: id('another request') }
      const evidence = evidenceOf([other])
      await expectRefused(f, { rows: [rowFor(f.order, other)], evidence }, 'ReceiptsRootWrong')
      await expectRefused(f, { rows: [rowFor(f.order, f.receipt)], evidence }, 'TeeSignatureInvalid', [
        TEE,
        gatewayDigest(f.receipt),
      ])
    })

    for (const off of [-1n, 1n]) {
      it(`refuses a fee ${String(off)} base unit off the amount`, async () => {
        const f = await loadFixture(gatewayFixture)
        const rows = [rowFor(f.order, f.receipt, { cumulativeFee: OPG + off })]
        await expectRefused(f, { rows, evidence: evidenceOf([f.receipt]) }, 'FeeNotFixed', [f.orderId, OPG, OPG + off])
      })
    }

    it('a bystander closes the order at nothing with a public receipt: refused', async () => {
      const f = await loadFixture(gatewayFixture)
      const rows = [rowFor(f.order, f.receipt, { cumulativeFee: 0n })]
      await expectRefused(f, { rows, evidence: evidenceOf([f.receipt]) }, 'FeeNotFixed', [f.orderId, OPG, 0n])
    })

    it('refuses a row that does not close', async () => {
      const f = await loadFixture(gatewayFixture)
      const rows = [rowFor(f.order, f.receipt, { close: false })]
      await expectRefused(f, { rows, evidence: evidenceOf([f.receipt]) }, 'RowNotClosing', [f.orderId])
    })

    for (const count of [0n, 2n]) {
      it(`refuses a count of ${String(count)}`, async () => {
        const f = await loadFixture(gatewayFixture)
        const rows = [rowFor(f.order, f.receipt, { receiptCount: count })]
        const evidence = evidenceOf([f.receipt])
        await expectRefused(f, { rows, evidence }, 'ReceiptCountWrong', [f.orderId, 1n, count])
      })
    }

    it('refuses any other root than the leaf', async () => {
      const f = await loadFixture(gatewayFixture)
      const digest = gatewayDigest(f.receipt)
      for (const receiptsRoot of [ZeroHash, digest, leafOf(leafOf(digest))]) {
        const rows = [rowFor(f.order, f.receipt, { receiptsRoot })]
        const evidence = evidenceOf([f.receipt])
        await expectRefused(f, { rows, evidence }, 'ReceiptsRootWrong', [f.orderId, leafOf(digest), receiptsRoot])
      }
    })

    it('refuses an order of which something was released, as no escrow of ours has one', async () => {
      const f = await loadFixture(gatewayFixture)
      const rows = [rowFor(f.order, f.receipt)]
      const [shown] = await shownRows(f, f.terms, rows)
      if (shown === undefined) throw new TypeError('There is one row')
      for (const released of [1n, OPG, 2n ** 96n - 2n]) {
        const question = { rows, evidence: evidenceOf([f.receipt]), shown: [{ ...shown, released }] }
        await expect(judge(f, f.terms, question))
          .to.be.revertedWithCustomError(f.verifier, 'ReleasedBefore')
          .withArgs(f.orderId, released)
      }
    })

    it('an old public receipt pays a new order: refused from 61 seconds before its opening', async () => {
      const f = await loadFixture(gatewayFixture)
      for (const [age, taken] of [
        [59n, true],
        [60n, true],
        [61n, false],
        [30n * DAY, false],
      ] as const) {
        const receipt = { ...f.receipt, timestamp: f.openedAt - age }
        const rows = [rowFor(f.order, receipt)]
        const evidence = evidenceOf([receipt])
        if (taken) expect(await judge(f, f.terms, { rows, evidence }), String(age)).to.equal(ACCEPTED)
        else await expectRefused(f, { rows, evidence }, 'TimestampOutOfRange')
      }
    })

    for (const [ahead, taken] of [
      [59n, true],
      [60n, true],
      [61n, false],
    ] as const) {
      it(`${taken ? 'takes' : 'refuses'} a receipt of ${String(ahead)} seconds from now`, async () => {
        const f = await loadFixture(gatewayFixture)
        const present = (await now()) + 1_000n
        const receipt = { ...f.receipt, timestamp: present + ahead }
        const rows = [rowFor(f.order, receipt)]
        await time.setNextBlockTimestamp(present)
        const settling = f.escrow.settle(f.terms, rows, evidenceOf([receipt]))
        if (taken) await expect(settling).to.emit(f.escrow, 'OrderSettled')
        else await expect(settling).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
      })
    }

    it('says which time it wanted', async () => {
      const f = await loadFixture(gatewayFixture)
      const timestamp = 2n ** 40n - 1n
      const receipt = { ...f.receipt, timestamp }
      const question = { rows: [rowFor(f.order, receipt)], evidence: evidenceOf([receipt]) }
      await expect(judge(f, f.terms, question))
        .to.be.revertedWithCustomError(f.verifier, 'TimestampOutOfRange')
        .withArgs(f.orderId, f.openedAt, (present: bigint) => present >= f.openedAt, timestamp)
    })
  })

  describe('what such receipts do not say', () => {
    it('the limit, shown: one receipt pays every order that pins its request, so requests must differ', async () => {
      const f = await loadFixture(gatewayFixture)
      const twin = await openOrder(f, { amount: 5n * OPG, job: f.order.job }, { terms: f.terms })
      const rows = [rowFor(f.order, f.receipt), rowFor(twin.order, f.receipt)]
      expect(await f.escrow.settle.staticCall(f.terms, rows, evidenceOf([f.receipt, f.receipt]))).to.equal(2n)
    })

    it('the limit, shown: it pays at another escrow too, and anyone may bring it', async () => {
      const f = await loadFixture(gatewayFixture)
      const other = await deployAround(f.home.token)
      await f.token.mint(f.stranger, OPG)
      await f.token.connect(f.stranger).approve(other.escrow, OPG)
      const order = await makeOrder(f, { amount: OPG, job: f.order.job })
      await other.escrow.connect(f.stranger).openFunded(f.terms, order)
      const settled = await other.escrow
        .connect(f.otherPayer)
        .settle.staticCall(f.terms, [rowFor(order, f.receipt)], evidenceOf([f.receipt]))
      expect(settled).to.equal(1n)
    })

    it('a receipt pays its order once, and to the node that the payer named (E5)', async () => {
      const f = await loadFixture(gatewayFixture)
      const rows = [rowFor(f.order, f.receipt), rowFor(f.order, f.receipt)]
      const evidence = evidenceOf([f.receipt, f.receipt])
      await expect(f.escrow.connect(f.stranger).settle(f.terms, rows, evidence))
        .to.emit(f.escrow, 'RowSkipped')
        .withArgs(f.orderId, CLOSED)
      const credit = await f.escrow.credits(f.node)
      await f.escrow.connect(f.stranger).settle(f.terms, rows, evidence)
      expect(await f.escrow.credits(f.node)).to.equal(credit)
    })
  })

  describe('a bystander settles one order of a batch in front of it (E8)', () => {
    it('with the public receipt: the others are settled all the same', async () => {
      const f = await loadFixture(gatewayFixture)
      const { orders, receipts } = await openMany(f, 3)
      const rows = orders.map((order, i) => rowFor(order, receipts[i] ?? f.receipt))
      const evidence = evidenceOf(receipts)
      await f.escrow.connect(f.stranger).settle(f.terms, rows.slice(1, 2), evidenceOf(receipts.slice(1, 2)))

      await expect(f.escrow.settle(f.terms, rows, evidence)).to.emit(f.escrow, 'RowSkipped')
      for (const order of orders) {
        expect((await f.escrow.orders(orderIdOf(f.home, f.terms, order))).closed).to.equal(true)
      }
    })

    it('the node releases one, or its payer reclaims it: the same', async () => {
      const f = await loadFixture(gatewayFixture)
      const { orders, receipts } = await openMany(f, 2)
      const rows = orders.map((order, i) => rowFor(order, receipts[i] ?? f.receipt))
      const [first] = orders
      if (first === undefined) throw new TypeError('Two were opened')
      await f.escrow.connect(f.node).release(f.terms, first)
      expect(await f.escrow.settle.staticCall(f.terms, rows, evidenceOf(receipts))).to.equal(1n)
    })

    it('a closed row brings nothing through with it: the others must still be right', async () => {
      const f = await loadFixture(gatewayFixture)
      const { orders, receipts } = await openMany(f, 2)
      const [first] = orders
      if (first === undefined) throw new TypeError('Two were opened')
      await f.escrow.connect(f.node).release(f.terms, first)
      const rows = orders.map((order, i) => rowFor(order, receipts[i] ?? f.receipt))
      const bad = concat([evidenceOf(receipts.slice(0, 1)), evidenceOf(receipts.slice(1), OTHER_KEY)])
      await expectRefused(f, { rows, evidence: bad }, 'TeeSignatureInvalid')
    })
  })

  it('judges an order that is not open by the same rules, and the escrow passes over it', async () => {
    const f = await loadFixture(gatewayFixture)
    const unknown = await makeOrder(f, { job: f.order.job })
    const unknownId = orderIdOf(f.home, f.terms, unknown)
    const asked = [rowFor(unknown, f.receipt)]
    await expectRefused(f, { rows: asked, evidence: evidenceOf([f.receipt]) }, 'FeeNotFixed', [
      unknownId,
      0n,
      unknown.amount,
    ])
    const nothing = [rowFor(unknown, f.receipt, { cumulativeFee: 0n })]
    await expect(f.escrow.settle(f.terms, nothing, evidenceOf([f.receipt])))
      .to.emit(f.escrow, 'RowSkipped')
      .withArgs(unknownId, 1n)
  })

  describe('which gateway', () => {
    it('refuses one that is disabled now', async () => {
      const f = await loadFixture(cachedFixture)
      const question = { rows: [rowFor(f.order, f.receipt)], evidence: evidenceOf([f.receipt]) }
      await f.tees.disableTEE(TEE)
      await expectRefused(f, question, 'TeeNotEnabled', [TEE])
      await f.tees.enableTEE(TEE)
      await f.escrow.settle(f.terms, question.rows, question.evidence)
    })

    it("refuses another gateway's signature", async () => {
      const f = await loadFixture(cachedFixture)
      const question = { rows: [rowFor(f.order, f.receipt)], evidence: evidenceOf([f.receipt], OTHER_KEY) }
      await expectRefused(f, question, 'TeeSignatureInvalid')
    })

    it('F8: no evidence key is a wildcard: zero, the node, the owner, an enclave that nobody registered', async () => {
      const f = await loadFixture(gatewayFixture)
      const keys = [ZeroHash, zeroPadValue(f.node.address, 32), zeroPadValue(f.deployer.address, 32), id('nobody')]
      for (const evidenceKey of keys) {
        const terms = { ...f.terms, evidenceKey }
        const { order } = await openOrder(f, { amount: OPG, job: f.order.job }, { terms })
        const question = { rows: [rowFor(order, f.receipt)], evidence: evidenceOf([f.receipt]), terms }
        await expectRefused(f, question, 'TeeNotEnabled', [evidenceKey])
      }
    })
  })

  describe('malformed evidence', () => {
    it('is refused at every length but its own', async () => {
      const f = await loadFixture(cachedFixture)
      const rows = [rowFor(f.order, f.receipt)]
      const good = evidenceOf([f.receipt])
      const whole = 37 + 256
      expect(dataLength(good)).to.equal(whole)
      for (const length of [0, 1, 36, 37, whole - 1]) {
        const evidence = dataSlice(good, 0, length)
        await expectRefused(f, { rows, evidence }, 'EvidenceLengthWrong', [whole, length])
      }
      for (const evidence of [concat([good, '0x00']), concat([good, good])]) {
        await expectRefused(f, { rows, evidence }, 'EvidenceLengthWrong', [whole, dataLength(evidence)])
      }
    })

    it("asks for a signature as long as the key's modulus, not as long as it comes", async () => {
      const f = await loadFixture(cachedFixture)
      const question = { rows: [rowFor(f.order, f.receipt)], evidence: evidenceOf([f.receipt], LONG_KEY) }
      await expectRefused(f, question, 'EvidenceLengthWrong')
    })

    it('is refused with one bit turned in any part of it', async () => {
      const f = await loadFixture(cachedFixture)
      const rows = [rowFor(f.order, f.receipt)]
      const good = getBytes(evidenceOf([f.receipt]))
      for (const at of [0, 31, 32, 36, 37, 100, 292]) {
        const evidence = concat([good.map((byte, i) => (i === at ? byte ^ 1 : byte))])
        await expect(judge(f, f.terms, { rows, evidence }), `byte ${String(at)}`).to.be.reverted
      }
    })

    it('is empty without rows, and then settles nothing', async () => {
      const f = await loadFixture(cachedFixture)
      expect(await f.escrow.settle.staticCall(f.terms, [], '0x')).to.equal(0n)
    })
  })

  describe('cacheKey', () => {
    it('keeps the key at an address of its own verifier', async () => {
      const f = await loadFixture(gatewayFixture)
      const cache = await f.verifier.cacheOf(TEE)
      await expect(f.verifier.connect(f.stranger).cacheKey(TEE)).to.emit(f.verifier, 'KeyCached').withArgs(TEE, cache)
      const other = await deploy<GatewayReceiptVerifier>('GatewayReceiptVerifier', [await f.tees.getAddress()])
      expect(await other.cacheOf(TEE)).not.to.equal(cache)
    })
  })

  it('is not deployed over a registry without code', async () => {
    const f = await loadFixture(gatewayFixture)
    await expect(deploy('GatewayReceiptVerifier', [f.stranger.address]))
      .to.be.revertedWithCustomError(f.verifier, 'RegistryWithoutCode')
      .withArgs(f.stranger.address)
  })

  it('is late from claimBy on, like any evidence', async () => {
    const f = await loadFixture(cachedFixture)
    await time.increaseTo(f.order.claimBy)
    const settled = await f.escrow.settle.staticCall(f.terms, [rowFor(f.order, f.receipt)], evidenceOf([f.receipt]))
    expect(settled).to.equal(0n)
  })
})

/** Orders for requests that differ, and a receipt for each. */
async function openMany(f: World, count: number): Promise<{ orders: Order[]; receipts: GatewayReceipt[] }> {
  const orders: Order[] = []
  const receipts: GatewayReceipt[] = []
  for (let i = 0; i < count; ++i) {
    const inputHash = id(`request ${String(i)}`)
    const job = { requester: f.requester.address, requestHash: inputHash }
    orders.push((await openOrder(f, { job }, { terms: f.terms })).order)
    receipts.push({ inputHash, outputHash: id(`answer ${String(i)}`), timestamp: (await now()) + BigInt(i) })
  }
  return { orders, receipts }
}
