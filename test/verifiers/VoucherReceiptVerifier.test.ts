import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import {
  Signature,
  Wallet,
  ZeroAddress,
  ZeroHash,
  concat,
  dataLength,
  dataSlice,
  id,
  toBeHex,
  zeroPadValue,
  type Signer,
} from 'ethers'
import { ethers } from 'hardhat'
import type { HostileWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileWallet'
import type { VoucherReceiptVerifier } from '../../packages/bindings/src/generated/typechain/contracts/verifiers/VoucherReceiptVerifier'
import {
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployAround,
  deployFixture,
  makeOrder,
  openOrder,
  orderIdOf,
  settleRow,
  settlementEvidence,
  type Fixture,
  type Home,
  type SettleRow,
  type Terms,
} from '../support/fixture'
import { ACCEPTED, judge, shownRows, signVoucher, type Voucher } from '../support/evidence'

const MAX_FEE = 3n * OPG

async function voucherFixture() {
  const f = await deployFixture()
  const verifier = await deploy<VoucherReceiptVerifier>('VoucherReceiptVerifier')
  const terms: Terms = { ...f.terms, verifier: await verifier.getAddress() }
  const { order, orderId } = await openOrder(f, {}, { terms })
  const voucher: Voucher = { orderId, node: f.node.address, maxCumulativeFee: MAX_FEE }
  return { ...f, verifier, terms, order, orderId, voucher }
}
type World = Awaited<ReturnType<typeof voucherFixture>>

interface Signing {
  readonly nodeSigner?: Signer
  readonly requesterSigner?: Signer
  readonly home?: Home
  readonly voucher?: Partial<Voucher>
  readonly terms?: Terms
}

/** Evidence for rows: the node's word, and a voucher for each; or as `options` say. */
async function evidenceFor(f: World, rows: readonly SettleRow[], options: Signing = {}): Promise<string> {
  const terms = options.terms ?? f.terms
  const nodeSignature = await settlementEvidence(f, options.nodeSigner ?? f.node, rows, { terms })
  const vouchers = await Promise.all(
    rows.map(({ order }) =>
      signVoucher(options.home ?? f.home, options.requesterSigner ?? f.requester, {
        ...f.voucher,
        orderId: orderIdOf(f.home, terms, order),
        ...options.voucher,
      }),
    ),
  )
  return concat([nodeSignature, ...vouchers])
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

describe('VoucherReceiptVerifier', () => {
  context('when node and requester agree', () => {
    it('settles an order, closes it and returns the rest', async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, MAX_FEE, { close: true })]
      const evidence = await evidenceFor(f, rows)
      await expect(f.escrow.settle(f.terms, rows, evidence))
        .to.emit(f.escrow, 'OrderSettled')
        .withArgs(f.orderId, MAX_FEE, rows[0]?.receiptsRoot, 3n, f.order.amount - MAX_FEE)
    })

    it('settles many orders, each by its own voucher', async () => {
      const f = await loadFixture(voucherFixture)
      const orders = [f.order]
      for (let i = 0; i < 4; ++i) orders.push((await openOrder(f, {}, { terms: f.terms })).order)
      const rows = orders.map((order, i) => settleRow(order, BigInt(i + 1), { close: i % 2 === 0 }))
      await f.escrow.settle(f.terms, rows, await evidenceFor(f, rows))
      for (const [i, order] of orders.entries()) {
        const state = await f.escrow.orders(orderIdOf(f.home, f.terms, order))
        expect(state.closed).to.equal(i % 2 === 0)
        if (!state.closed) expect(state.released).to.equal(BigInt(i + 1))
      }
    })

    for (const [name, fee] of [
      ['below', MAX_FEE - 1n],
      ['at', MAX_FEE],
    ] as const) {
      it(`takes a fee ${name} the voucher's total`, async () => {
        const f = await loadFixture(voucherFixture)
        const rows = [settleRow(f.order, fee)]
        await f.escrow.settle(f.terms, rows, await evidenceFor(f, rows))
        expect((await f.escrow.orders(f.orderId)).released).to.equal(fee)
      })
    }

    it('takes the node alone where it gives an order back that nobody used, and a voucher from one base unit on', async () => {
      const f = await loadFixture(voucherFixture)
      const noVoucher = '0x'.padEnd(2 + 2 * 77, '0')
      const evidenceAt = async (fee: bigint) => {
        const rows = [settleRow(f.order, fee, { close: true })]
        return { rows, evidence: concat([await settlementEvidence(f, f.node, rows, { terms: f.terms }), noVoucher]) }
      }
      await expectRefused(f, await evidenceAt(1n), 'VoucherExceeded', [f.orderId, 0n, 1n])
      const { rows, evidence } = await evidenceAt(0n)
      await expect(f.escrow.settle(f.terms, rows, evidence)).to.changeTokenBalance(f.token, f.payer, f.order.amount)
    })

    it("refuses a fee of one base unit over the voucher's total", async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, MAX_FEE + 1n)]
      const evidence = await evidenceFor(f, rows)
      await expectRefused(f, { rows, evidence }, 'VoucherExceeded', [f.orderId, MAX_FEE, MAX_FEE + 1n])
    })

    it('takes the largest voucher there is', async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, f.order.amount)]
      const evidence = await evidenceFor(f, rows, { voucher: { maxCumulativeFee: 2n ** 96n - 1n } })
      await f.escrow.settle(f.terms, rows, evidence)
    })

    it('takes a key that the order names for the node', async () => {
      const f = await loadFixture(voucherFixture)
      const key = new Wallet(id('node key'))
      const terms = { ...f.terms, evidenceKey: zeroPadValue(key.address, 32) }
      const { order } = await openOrder(f, {}, { terms })
      const rows = [settleRow(order, OPG)]
      await f.escrow.settle(terms, rows, await evidenceFor(f, rows, { terms, nodeSigner: key }))
      const later = [settleRow(order, 2n * OPG)]
      const evidence = await evidenceFor(f, later, { terms })
      await expectRefused(f, { rows: later, evidence, terms }, 'SignatureInvalid', [
        key.address,
        await f.escrow.settlementDigest(f.node, terms.evidenceKey, settlementsOf(f, terms, later)),
      ])
    })

    it('judges any id that stands for an order: a slice has one of its own', async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, OPG, { close: true })]
      const [shown] = await shownRows(f, f.terms, rows)
      if (shown === undefined) throw new TypeError('There is one row')
      const slice = { ...shown, orderId: id('slice') }
      const evidence = await evidenceFor(f, rows, { voucher: { orderId: id('slice') } })
      expect(await judge(f, f.terms, { rows, shown: [slice], evidence })).to.equal(ACCEPTED)
    })

    it('does not let one order that cannot be settled hold up the others (E8)', async () => {
      const f = await loadFixture(voucherFixture)
      const unknown = await makeOrder(f)
      const rows = [settleRow(unknown, OPG), settleRow(f.order, OPG)]
      await expect(f.escrow.settle(f.terms, rows, await evidenceFor(f, rows)))
        .to.emit(f.escrow, 'RowSkipped')
        .withArgs(orderIdOf(f.home, f.terms, unknown), 1)
      expect((await f.escrow.orders(f.orderId)).released).to.equal(OPG)
    })
  })

  describe('F1: a voucher alone closes nothing', () => {
    it('the requester closes its order at what was paid so far, with its own voucher: refused', async () => {
      const f = await loadFixture(voucherFixture)
      const first = [settleRow(f.order, OPG)]
      await f.escrow.settle(f.terms, first, await evidenceFor(f, first))
      const rows = [settleRow(f.order, OPG, { close: true })]
      const evidence = await evidenceFor(f, rows, { nodeSigner: f.requester })
      await expectRefused(f, { rows, evidence }, 'SignatureInvalid')
      expect((await f.escrow.orders(f.orderId)).closed).to.equal(false)
    })

    it("a bystander closes an order with a voucher that it saw, and the node's older signature: refused", async () => {
      const f = await loadFixture(voucherFixture)
      const seen = [settleRow(f.order, OPG)]
      const evidence = await evidenceFor(f, seen)
      await f.escrow.settle(f.terms, seen, evidence)
      await expectRefused(f, { rows: [settleRow(f.order, OPG, { close: true })], evidence }, 'SignatureInvalid')
    })

    it('the node settles without a voucher, or with one that it signed: refused (E3)', async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, OPG)]
      const word = await settlementEvidence(f, f.node, rows, { terms: f.terms })
      await expectRefused(f, { rows, evidence: word }, 'EvidenceLengthWrong', [65 + 77, 65])
      const own = await evidenceFor(f, rows, { requesterSigner: f.node })
      await expectRefused(f, { rows, evidence: own }, 'VoucherInvalid', [f.orderId, f.requester.address])
    })

    it('the node raises the total that the requester signed: refused', async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, MAX_FEE + 1n)]
      const signed = await evidenceFor(f, rows)
      const raised = concat([dataSlice(signed, 0, 65), toBeHex(MAX_FEE + 1n, 12), dataSlice(signed, 77)])
      await expectRefused(f, { rows, evidence: raised }, 'VoucherInvalid')
    })
  })

  describe('replays', () => {
    it('a voucher does not serve another order of the same payer', async () => {
      const f = await loadFixture(voucherFixture)
      const other = await openOrder(f, {}, { terms: f.terms })
      const rows = [settleRow(other.order, OPG)]
      const evidence = await evidenceFor(f, rows, { voucher: { orderId: f.orderId } })
      await expectRefused(f, { rows, evidence }, 'VoucherInvalid', [other.orderId, f.requester.address])
    })

    it('vouchers in another order than the rows are refused', async () => {
      const f = await loadFixture(voucherFixture)
      const other = await openOrder(f, {}, { terms: f.terms })
      const rows = [settleRow(f.order, OPG), settleRow(other.order, OPG)]
      const good = await evidenceFor(f, rows)
      const swapped = concat([dataSlice(good, 0, 65), dataSlice(good, 142), dataSlice(good, 65, 142)])
      await expectRefused(f, { rows, evidence: swapped }, 'VoucherInvalid')
    })

    it('a voucher for another node is refused', async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, OPG)]
      const evidence = await evidenceFor(f, rows, { voucher: { node: f.otherNode.address } })
      await expectRefused(f, { rows, evidence }, 'VoucherInvalid')
    })

    it('a voucher under another chain id, or for another escrow, is refused', async () => {
      const f = await loadFixture(voucherFixture)
      const other = await deployAround(f.home.token)
      const rows = [settleRow(f.order, OPG)]
      for (const home of [{ ...f.home, chainId: f.home.chainId + 1n }, other.home]) {
        const evidence = await evidenceFor(f, rows, { home })
        await expectRefused(f, { rows, evidence }, 'VoucherInvalid')
      }
    })

    it('evidence of one escrow is refused by the same verifier when another asks', async () => {
      const f = await loadFixture(voucherFixture)
      const other = await deployAround(f.home.token)
      const rows = [settleRow(f.order, OPG)]
      const question = { rows, evidence: await evidenceFor(f, rows) }
      expect(await judge(f, f.terms, question)).to.equal(ACCEPTED)
      await expect(judge(f, f.terms, { ...question, from: other.home.escrow })).to.be.revertedWithCustomError(
        f.verifier,
        'VoucherInvalid',
      )
    })

    it('answers nobody who is not an escrow', async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, OPG)]
      const evidence = await evidenceFor(f, rows)
      for (const from of [f.stranger.address, f.home.token]) {
        await expect(judge(f, f.terms, { rows, evidence, from })).to.be.reverted
      }
    })
  })

  describe('keys', () => {
    for (const dirty of [1n << 160n, 1n << 255n]) {
      it(`refuses an evidence key with high bits: ${toBeHex(dirty).slice(0, 6)}… (F8)`, async () => {
        const f = await loadFixture(voucherFixture)
        const terms = { ...f.terms, evidenceKey: toBeHex(dirty | BigInt(f.node.address), 32) }
        const { order } = await openOrder(f, {}, { terms })
        const rows = [settleRow(order, OPG)]
        const evidence = await evidenceFor(f, rows, { terms })
        await expectRefused(f, { rows, evidence, terms }, 'EvidenceKeyInvalid', [terms.evidenceKey])
      })
    }

    it('nobody signs for a requester that is zero, nor for a node that is', async () => {
      const f = await loadFixture(voucherFixture)
      const { order } = await openOrder(f, { job: { requester: ZeroAddress, requestHash: ZeroHash } }, f)
      const rows = [settleRow(order, OPG)]
      const good = await evidenceFor(f, rows)
      // v = 0: recovery fails, which gives the zero address
      const failing = concat([dataSlice(good, 0, dataLength(good) - 1), '0x00'])
      await expectRefused(f, { rows, evidence: failing }, 'VoucherInvalid')

      const nobody = concat([dataSlice(good, 0, 64), '0x00', dataSlice(good, 65)])
      const terms = { ...f.terms, node: ZeroAddress }
      await expect(judge(f, terms, { rows, evidence: nobody })).to.be.revertedWithCustomError(
        f.verifier,
        'SignatureInvalid',
      )
    })

    it('asks no wallet (ERC-1271), neither for the requester nor for the node', async () => {
      const f = await loadFixture(voucherFixture)
      const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS]) // signs everything
      const address = await wallet.getAddress()
      const { order } = await openOrder(f, { job: { requester: address, requestHash: ZeroHash } }, f)
      const rows = [settleRow(order, OPG)]
      await expectRefused(f, { rows, evidence: await evidenceFor(f, rows) }, 'VoucherInvalid')

      const terms = { ...f.terms, evidenceKey: zeroPadValue(address, 32) }
      const second = await openOrder(f, {}, { terms })
      const secondRows = [settleRow(second.order, OPG)]
      const evidence = await evidenceFor(f, secondRows, { terms })
      await expectRefused(f, { rows: secondRows, evidence, terms }, 'SignatureInvalid')
    })
  })

  describe('malformed evidence', () => {
    it('is refused at every length but its own', async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, OPG)]
      const good = await evidenceFor(f, rows)
      const whole = 65 + 77
      for (const length of [0, 1, 64, 65, 66, 76, 77, whole - 1]) {
        const evidence = dataSlice(good, 0, length)
        await expectRefused(f, { rows, evidence }, 'EvidenceLengthWrong', [whole, length])
      }
      for (const extra of ['0x00', dataSlice(good, 65)]) {
        const evidence = concat([good, extra])
        await expectRefused(f, { rows, evidence }, 'EvidenceLengthWrong', [whole, dataLength(evidence)])
      }
    })

    it('has 65 bytes without a row, and then settles nothing', async () => {
      const f = await loadFixture(voucherFixture)
      expect(await f.escrow.settle.staticCall(f.terms, [], await evidenceFor(f, []))).to.equal(0n)
    })

    it('is refused with one bit turned anywhere in its vouchers or in the signature', async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, OPG)]
      const good = ethers.getBytes(await evidenceFor(f, rows))
      for (let at = 0; at < good.length; at += 7) {
        const bad = good.map((byte, i) => (i === at ? byte ^ 0x10 : byte))
        await expect(judge(f, f.terms, { rows, evidence: bad }), `byte ${String(at)}`).to.be.reverted
      }
    })

    it('signature malleability: the twins with high s are the same evidence', async () => {
      const f = await loadFixture(voucherFixture)
      const rows = [settleRow(f.order, OPG)]
      const good = await evidenceFor(f, rows)
      const twins = concat([twin(dataSlice(good, 0, 65)), dataSlice(good, 65, 77), twin(dataSlice(good, 77))])
      expect(await judge(f, f.terms, { rows, evidence: twins })).to.equal(ACCEPTED)
    })
  })
})

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

function twin(signature: string): string {
  const { r, s, v } = Signature.from(signature)
  return concat([r, toBeHex(CURVE_ORDER - BigInt(s), 32), toBeHex(v === 27 ? 28 : 27)])
}

function settlementsOf(f: Pick<Fixture, 'home'>, terms: Terms, rows: readonly SettleRow[]) {
  return rows.map(({ order, ...rest }) => ({ orderId: orderIdOf(f.home, terms, order), ...rest }))
}
