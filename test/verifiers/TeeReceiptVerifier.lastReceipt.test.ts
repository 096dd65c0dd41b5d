import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress, ZeroHash, concat, dataLength, dataSlice, getBytes, id, keccak256, zeroPadValue } from 'ethers'
import type { DevTEERegistry } from '../../packages/bindings/src/generated/typechain/contracts/dev/DevTEERegistry'
import type { TeeReceiptVerifier } from '../../packages/bindings/src/generated/typechain/contracts/verifiers/TeeReceiptVerifier'
import { newRsaKey, signPss, type RsaKey } from '../crypto/pss'
import {
  OPG,
  batchDigest,
  deploy,
  deployAround,
  deployFixture,
  openOrder,
  orderIdOf,
  settleRow,
  type Home,
  type Order,
  type SettleRow,
  type Terms,
} from '../support/fixture'
import {
  ACCEPTED,
  judge,
  packReceipt,
  receiptDigest,
  receiptLeaf,
  shownRows,
  type Receipt,
  type Row,
} from '../support/evidence'

const KEY = newRsaKey(2048)
const OTHER_KEY = newRsaKey(2048)
const LONG_KEY = newRsaKey(3072)
const TEE = keccak256(KEY.der)
const RECEIPT_HEAD = 89
const NOT_SINGLE = 6n

async function enclaveFixture() {
  const f = await deployFixture()
  const tees = await deploy<DevTEERegistry>('DevTEERegistry')
  for (const key of [KEY, LONG_KEY]) await tees.connect(f.node).register(key.der, ZeroAddress, '', 0)
  await tees.connect(f.otherNode).register(OTHER_KEY.der, ZeroAddress, '', 0)
  const verifier = await deploy<TeeReceiptVerifier>('TeeReceiptVerifier', [await tees.getAddress()])
  const pinned: Terms = { ...f.terms, verifier: await verifier.getAddress(), evidenceKey: TEE }
  const owned: Terms = { ...pinned, evidenceKey: zeroPadValue(f.node.address, 32) }
  const { order, orderId } = await openOrder(f, {}, { terms: pinned })
  return { ...f, tees, verifier, terms: pinned, owned, order, orderId }
}

async function cachedFixture() {
  const f = await enclaveFixture()
  for (const key of [KEY, OTHER_KEY, LONG_KEY]) await f.verifier.cacheKey(keccak256(key.der))
  return f
}
type World = Awaited<ReturnType<typeof enclaveFixture>>

/** The eighth receipt of an order, which brings its fees to 2 OPG; or as `changes` say. */
function receiptOf(f: World, order: Order, terms: Terms, changes: Partial<Receipt> = {}): Receipt {
  return {
    orderId: orderIdOf(f.home, terms, order),
    node: f.node.address,
    seq: 7n,
    requestId: id('request'),
    responseHash: id('response'),
    fee: OPG / 4n,
    cumulativeFee: 2n * OPG,
    timestamp: 1_790_000_000n,
    ...changes,
  }
}

/** The row that a receipt proves. */
function rowFor(order: Order, receipt: Receipt, changes: Partial<SettleRow> = {}): SettleRow {
  return settleRow(order, receipt.cumulativeFee, {
    receiptsRoot: receiptLeaf(receipt),
    receiptCount: receipt.seq + 1n,
    ...changes,
  })
}

/** Receipts as an enclave signed them before it died. */
function evidenceOf(home: Home, receipts: readonly Receipt[], key: RsaKey = KEY): string {
  const packed = receipts.map((receipt) => packReceipt(receipt, signPss(key, getBytes(receiptDigest(home, receipt)))))
  return concat(['0x01', keccak256(key.der), ...packed])
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

describe('TeeReceiptVerifier, evidence by last receipts', () => {
  for (const [when, fixture] of [
    ['when the key is not cached', enclaveFixture],
    ['when the key is cached', cachedFixture],
  ] as const) {
    context(when, () => {
      it("F7: the enclave is gone, and its order's last receipt pays the node", async () => {
        const f = await loadFixture(fixture)
        const receipt = receiptOf(f, f.order, f.terms)
        const row = rowFor(f.order, receipt)
        await expect(f.escrow.connect(f.stranger).settle(f.terms, [row], evidenceOf(f.home, [receipt])))
          .to.emit(f.escrow, 'OrderSettled')
          .withArgs(f.orderId, 2n * OPG, receiptLeaf(receipt), 8n, 0n)
        await f.escrow.connect(f.node).release(f.terms, f.order) // the rest, to the payer's good
      })

      it('F7: the same where orders take any enclave of their node', async () => {
        const f = await loadFixture(fixture)
        const { order, orderId } = await openOrder(f, {}, { terms: f.owned })
        const receipt = receiptOf(f, order, f.owned)
        await f.escrow.settle(f.owned, [rowFor(order, receipt)], evidenceOf(f.home, [receipt]))
        expect((await f.escrow.orders(orderId)).released).to.equal(2n * OPG)
      })

      it('settles many orders, each by its own receipt, with a longer key too', async () => {
        const f = await loadFixture(fixture)
        for (const key of [KEY, LONG_KEY]) {
          const orders: Order[] = []
          for (let i = 0; i < 3; ++i) orders.push((await openOrder(f, {}, { terms: f.owned })).order)
          const receipts = orders.map((order, i) =>
            receiptOf(f, order, f.owned, { seq: BigInt(i), cumulativeFee: BigInt(i + 1) }),
          )
          const rows = orders.map((order, i) => rowFor(order, receipts[i] ?? receiptOf(f, order, f.owned)))
          await f.escrow.settle(f.owned, rows, evidenceOf(f.home, receipts, key))
          for (const [i, order] of orders.entries()) {
            expect((await f.escrow.orders(orderIdOf(f.home, f.owned, order))).released).to.equal(BigInt(i + 1))
          }
        }
      })
    })
  }

  describe('F7: payers hold old receipts', () => {
    it('the payer closes the order with an old receipt, at less than it owes: refused', async () => {
      const f = await loadFixture(enclaveFixture)
      const old = receiptOf(f, f.order, f.terms, { seq: 0n, cumulativeFee: 1n })
      const rows = [rowFor(f.order, old, { close: true })]
      await expectRefused(f, { rows, evidence: evidenceOf(f.home, [old]) }, 'LastReceiptCannotClose', [f.orderId])
    })

    it('an old receipt without close pays the node early, and takes nothing from it', async () => {
      const f = await loadFixture(enclaveFixture)
      const old = receiptOf(f, f.order, f.terms, { seq: 0n, cumulativeFee: 1n })
      await f.escrow.settle(f.terms, [rowFor(f.order, old)], evidenceOf(f.home, [old]))
      const last = receiptOf(f, f.order, f.terms)
      await f.escrow.settle(f.terms, [rowFor(f.order, last)], evidenceOf(f.home, [last]))
      expect((await f.escrow.orders(f.orderId)).released).to.equal(2n * OPG)

      await f.escrow.settle(f.terms, [rowFor(f.order, old)], evidenceOf(f.home, [old])) // stale by now: skipped
      expect((await f.escrow.orders(f.orderId)).released).to.equal(2n * OPG)
    })

    it("a slice is closed by its one settlement, so an old receipt would burn it: refused, the slice's id or not", async () => {
      const f = await loadFixture(enclaveFixture)
      const receipt = receiptOf(f, f.order, f.terms, { orderId: id('slice') })
      const rows = [rowFor(f.order, receipt, { close: true })]
      const [shown] = await shownRows(f, f.terms, rows)
      if (shown === undefined) throw new TypeError('There is one row')
      const slice: Row = { ...shown, orderId: id('slice') }
      const question = { rows, evidence: evidenceOf(f.home, [receipt]) }
      await expect(judge(f, f.terms, { ...question, shown: [slice] }))
        .to.be.revertedWithCustomError(f.verifier, 'LastReceiptCannotClose')
        .withArgs(id('slice'))
      const open = { ...slice, close: false } // everything else of it is right
      expect(await judge(f, f.terms, { ...question, shown: [open] })).to.equal(ACCEPTED)
    })

    it('an order for one request must close, so this form does not settle it', async () => {
      const f = await loadFixture(enclaveFixture)
      const job = { requester: f.requester.address, requestHash: id('the one request') }
      const { order, orderId } = await openOrder(f, { job }, { terms: f.terms })
      const receipt = receiptOf(f, order, f.terms, { seq: 0n })
      await expect(f.escrow.settle(f.terms, [rowFor(order, receipt)], evidenceOf(f.home, [receipt])))
        .to.emit(f.escrow, 'RowSkipped')
        .withArgs(orderId, NOT_SINGLE)
    })

    it('one row that closes fails all: the settler leaves it out', async () => {
      const f = await loadFixture(enclaveFixture)
      const second = await openOrder(f, {}, { terms: f.terms })
      const receipts = [receiptOf(f, f.order, f.terms), receiptOf(f, second.order, f.terms)] as const
      const rows = [rowFor(f.order, receipts[0]), rowFor(second.order, receipts[1], { close: true })]
      const evidence = evidenceOf(f.home, receipts)
      await expectRefused(f, { rows, evidence }, 'LastReceiptCannotClose', [second.orderId])
    })
  })

  describe('what a row may say', () => {
    for (const count of [0n, 7n, 9n]) {
      it(`refuses a count of ${String(count)} by the eighth receipt`, async () => {
        const f = await loadFixture(enclaveFixture)
        const receipt = receiptOf(f, f.order, f.terms)
        const rows = [rowFor(f.order, receipt, { receiptCount: count })]
        const evidence = evidenceOf(f.home, [receipt])
        await expectRefused(f, { rows, evidence }, 'ReceiptCountWrong', [f.orderId, 8n, count])
      })
    }

    it('takes the last sequence number that has a successor, and refuses the one that has none', async () => {
      const f = await loadFixture(enclaveFixture)
      const last = receiptOf(f, f.order, f.terms, { seq: 2n ** 64n - 2n })
      await f.escrow.settle(f.terms, [rowFor(f.order, last)], evidenceOf(f.home, [last]))

      const beyond = receiptOf(f, f.order, f.terms, { seq: 2n ** 64n - 1n, cumulativeFee: 3n * OPG })
      const rows = [rowFor(f.order, beyond, { receiptCount: 0n })]
      const evidence = evidenceOf(f.home, [beyond])
      await expectRefused(f, { rows, evidence }, 'ReceiptCountWrong', [f.orderId, 2n ** 64n, 0n])
    })

    it('refuses any other root than the leaf: zero, the bare hash, another leaf', async () => {
      const f = await loadFixture(enclaveFixture)
      const receipt = receiptOf(f, f.order, f.terms)
      const leaf = receiptLeaf(receipt)
      const other = receiptLeaf(receiptOf(f, f.order, f.terms, { responseHash: id('another') }))
      for (const receiptsRoot of [ZeroHash, receiptDigest(f.home, receipt), other]) {
        const rows = [rowFor(f.order, receipt, { receiptsRoot })]
        const evidence = evidenceOf(f.home, [receipt])
        await expectRefused(f, { rows, evidence }, 'ReceiptsRootWrong', [f.orderId, leaf, receiptsRoot])
      }
    })

    for (const off of [-1n, 1n]) {
      it(`refuses a total that is ${String(off)} base unit off the receipt's`, async () => {
        const f = await loadFixture(enclaveFixture)
        const receipt = receiptOf(f, f.order, f.terms)
        const claimed = { ...receipt, cumulativeFee: receipt.cumulativeFee + off }
        const evidence = evidenceOf(f.home, [receipt])
        // With the receipt's root, and with that of the receipt which would say so.
        await expectRefused(
          f,
          { rows: [rowFor(f.order, receipt, { cumulativeFee: claimed.cumulativeFee })], evidence },
          'ReceiptsRootWrong',
        )
        await expectRefused(f, { rows: [rowFor(f.order, claimed)], evidence }, 'TeeSignatureInvalid')
      })
    }
  })

  describe('what the enclave did not sign', () => {
    for (const [member, value] of [
      ['seq', 8n],
      ['requestId', id('another request')],
      ['responseHash', id('another response')],
      ['fee', 1n],
      ['timestamp', 1_790_000_001n],
    ] as const) {
      it(`refuses a receipt with another ${member} than was signed`, async () => {
        const f = await loadFixture(enclaveFixture)
        const signed = receiptOf(f, f.order, f.terms)
        const told = { ...signed, [member]: value }
        const signature = signPss(KEY, getBytes(receiptDigest(f.home, signed)))
        const evidence = concat(['0x01', TEE, packReceipt(told, signature)])
        await expectRefused(f, { rows: [rowFor(f.order, told)], evidence }, 'TeeSignatureInvalid', [
          TEE,
          receiptDigest(f.home, told),
        ])
      })
    }

    it("replay: another order's receipt, another node's, another escrow's, another chain's", async () => {
      const f = await loadFixture(enclaveFixture)
      const right = receiptOf(f, f.order, f.terms)
      const rows = [rowFor(f.order, right)]
      const otherEscrow = await deployAround(f.home.token)
      const signed: readonly [Home, Receipt][] = [
        [f.home, { ...right, orderId: id('another order') }],
        [f.home, { ...right, node: f.otherNode.address }],
        [otherEscrow.home, right],
        [{ ...f.home, chainId: f.home.chainId + 1n }, right],
      ]
      for (const [home, receipt] of signed) {
        const signature = signPss(KEY, getBytes(receiptDigest(home, receipt)))
        const evidence = concat(['0x01', TEE, packReceipt(right, signature)])
        await expectRefused(f, { rows, evidence }, 'TeeSignatureInvalid')
      }
    })

    it('the same verifier refuses the same evidence when another escrow asks, and answers nobody else', async () => {
      const f = await loadFixture(enclaveFixture)
      const otherEscrow = await deployAround(f.home.token)
      const receipt = receiptOf(f, f.order, f.terms)
      const question = { rows: [rowFor(f.order, receipt)], evidence: evidenceOf(f.home, [receipt]) }
      expect(await judge(f, f.terms, question)).to.equal(ACCEPTED)
      await expect(judge(f, f.terms, { ...question, from: otherEscrow.home.escrow })).to.be.revertedWithCustomError(
        f.verifier,
        'TeeSignatureInvalid',
      )
      for (const from of [f.stranger.address, f.home.token]) {
        await expect(judge(f, f.terms, { ...question, from })).to.be.reverted
      }
    })

    it('a signature over the batch is no receipt, and a receipt is no signature over the batch', async () => {
      const f = await loadFixture(enclaveFixture)
      const receipt = receiptOf(f, f.order, f.terms)
      const rows = [rowFor(f.order, receipt)]
      const overBatch = signPss(KEY, getBytes(batchDigest(f.home, f.terms, rows)))
      const asReceipt = concat(['0x01', TEE, packReceipt(receipt, overBatch)])
      await expectRefused(f, { rows, evidence: asReceipt }, 'TeeSignatureInvalid')
      const overReceipt = signPss(KEY, getBytes(receiptDigest(f.home, receipt)))
      await expectRefused(f, { rows, evidence: concat(['0x00', TEE, overReceipt]) }, 'TeeSignatureInvalid')
    })

    it('receipts in another order than the rows', async () => {
      const f = await loadFixture(enclaveFixture)
      const second = await openOrder(f, {}, { terms: f.terms })
      const receipts = [receiptOf(f, f.order, f.terms), receiptOf(f, second.order, f.terms)] as const
      const rows = [rowFor(f.order, receipts[0]), rowFor(second.order, receipts[1])]
      const evidence = evidenceOf(f.home, [receipts[1], receipts[0]])
      await expectRefused(f, { rows, evidence }, 'TeeSignatureInvalid')
    })
  })

  describe('which enclave', () => {
    it('refuses one that is disabled now, whenever it signed', async () => {
      const f = await loadFixture(cachedFixture)
      const receipt = receiptOf(f, f.order, f.terms)
      const rows = [rowFor(f.order, receipt)]
      const evidence = evidenceOf(f.home, [receipt])
      await f.tees.connect(f.node).disableTEE(TEE)
      await expectRefused(f, { rows, evidence }, 'TeeNotEnabled', [TEE])
      await f.tees.connect(f.node).enableTEE(TEE)
      await f.escrow.settle(f.terms, rows, evidence)
    })

    it('refuses another one than the pinned, and another node’s in the owner form (F8)', async () => {
      const f = await loadFixture(cachedFixture)
      const receipt = receiptOf(f, f.order, f.terms)
      const evidence = evidenceOf(f.home, [receipt], OTHER_KEY)
      await expectRefused(f, { rows: [rowFor(f.order, receipt)], evidence }, 'TeeNotPinned')

      const { order } = await openOrder(f, {}, { terms: f.owned })
      const owned = receiptOf(f, order, f.owned)
      const foreign = evidenceOf(f.home, [owned], OTHER_KEY)
      await expectRefused(f, { rows: [rowFor(order, owned)], evidence: foreign, terms: f.owned }, 'TeeNotOwnedByNode')
    })

    it("refuses one enclave's receipt under another's name", async () => {
      const f = await loadFixture(cachedFixture)
      const receipt = receiptOf(f, f.order, f.terms)
      const forged = concat(['0x01', TEE, dataSlice(evidenceOf(f.home, [receipt], OTHER_KEY), 33)])
      await expectRefused(f, { rows: [rowFor(f.order, receipt)], evidence: forged }, 'TeeSignatureInvalid')
    })
  })

  describe('malformed evidence', () => {
    it('is refused at every length but its own', async () => {
      const f = await loadFixture(cachedFixture)
      const receipt = receiptOf(f, f.order, f.terms)
      const rows = [rowFor(f.order, receipt)]
      const good = evidenceOf(f.home, [receipt])
      const whole = 33 + RECEIPT_HEAD + 256
      expect(dataLength(good)).to.equal(whole)
      for (const length of [33, 34, 33 + RECEIPT_HEAD, whole - 1]) {
        const evidence = dataSlice(good, 0, length)
        await expectRefused(f, { rows, evidence }, 'EvidenceLengthWrong', [whole, length])
      }
      const twice = concat([good, dataSlice(good, 33)])
      for (const evidence of [concat([good, '0x00']), twice]) {
        await expectRefused(f, { rows, evidence }, 'EvidenceLengthWrong', [whole, dataLength(evidence)])
      }
      const none = { rows: [rowFor(f.order, receipt), rowFor(f.order, receipt)], evidence: good }
      await expectRefused(f, none, 'EvidenceLengthWrong', [whole + RECEIPT_HEAD + 256, whole])
    })

    it("asks for a signature as long as the key's modulus, not as long as it comes", async () => {
      const f = await loadFixture(cachedFixture)
      const receipt = receiptOf(f, f.order, f.terms)
      const long = signPss(LONG_KEY, getBytes(receiptDigest(f.home, receipt)))
      const evidence = concat(['0x01', TEE, packReceipt(receipt, long)])
      await expectRefused(f, { rows: [rowFor(f.order, receipt)], evidence }, 'EvidenceLengthWrong')
    })

    it('proves nothing without rows, and then settles nothing', async () => {
      const f = await loadFixture(cachedFixture)
      expect(await f.escrow.settle.staticCall(f.terms, [], concat(['0x01', TEE]))).to.equal(0n)
    })
  })
})
