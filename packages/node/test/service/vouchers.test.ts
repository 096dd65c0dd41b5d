import { toWire, encodeVoucherHeader } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { ecdsaSigner } from '../../src/receipts/ecdsaSigner.js'
import { openNode } from '../../src/service/openNode.js'
import type { PaymentNode } from '../../src/service/openNode.js'
import { outcomeOf, setUpNode } from '../support/fixture.js'
import { type OpenOrder, orderInput } from '../support/world.js'

const FOREVER = { signal: new AbortController().signal }

describe('orders that are paid by vouchers', () => {
  const t = setUpNode({ isolated: true })

  const options = () => ({
    verifiers: [
      {
        kind: 'voucher',
        address: t.world.devnet.deployment.voucherReceiptVerifier,
        signer: ecdsaSigner(t.world.node.privateKey),
      },
    ] as const,
  })
  const terms = () => ({ verifier: t.world.devnet.deployment.voucherReceiptVerifier })

  async function ask(
    node: PaymentNode,
    order: OpenOrder,
    input: { readonly index: bigint; readonly maxFee?: bigint; readonly signedVoucher?: unknown },
  ): Promise<string> {
    return outcomeOf(await node.service.serve(t.world.call(order, input)))
  }
  const voucher = (order: OpenOrder, allowed: bigint): unknown => toWire(t.world.signVoucher(order, allowed))

  it('each request brings the consent to what it may come to, and all is settled with it', async () => {
    await t.withNode(options(), async (node) => {
      const order = await t.world.admitted(node, { terms: terms() })
      expect(await ask(node, order, { index: 0n, signedVoucher: voucher(order, 100n) })).toBe('served')
      // 15 are billed, and 100 may come.
      expect(await ask(node, order, { index: 1n, signedVoucher: voucher(order, 114n) })).toBe('voucher-too-low')
      expect(await ask(node, order, { index: 1n, signedVoucher: voucher(order, 115n) })).toBe('served')
      const header = encodeVoucherHeader(t.world.signVoucher(order, 130n))
      expect(await ask(node, order, { index: 2n, signedVoucher: header })).toBe('served')
      const second = await t.world.admitted(node, { terms: terms() })
      expect(await ask(node, second, { index: 0n, signedVoucher: voucher(second, 1_000n) })).toBe('served')
      const report = await node.settler.settleOnce({ force: true })
      expect(report).toMatchObject({ submitted: [{ settlements: { length: 2 } }] })
      await node.settler.settleAll(FOREVER)
      expect(await t.chainState(order)).toEqual({ released: 45n, closed: false })
      expect(await t.chainState(second)).toEqual({ released: 15n, closed: false })
    })
  })

  it('one voucher for all serves many requests, and is asked for with each', async () => {
    await t.withNode(options(), async (node) => {
      const order = await t.world.admitted(node, { terms: terms() })
      const all = voucher(order, 1_000n)
      for (const index of [0n, 1n]) expect(await ask(node, order, { index, signedVoucher: all })).toBe('served')
      const call = t.world.call(order, { index: 2n, signedVoucher: all })
      expect(outcomeOf(await node.service.serve(call))).toBe('served')
      expect(await ask(node, order, { index: 3n })).toBe('voucher-required')
      // A stored answer is the requester's, and owes nothing more.
      expect(outcomeOf(await node.service.serve({ ...call, signedVoucher: undefined }))).toBe('replayed')
    })
  })

  it('is refused where the voucher is for another order or node, or of another key', async () => {
    await t.withNode(options(), async (node) => {
      const [order, other] = [
        await t.world.admitted(node, { terms: terms() }),
        await t.world.admitted(node, { terms: terms() }),
      ]
      const elsewhere = { ...order, terms: { ...order.terms, node: other.order.payer } }
      const bad = [
        t.world.signVoucher(other, 1_000n),
        t.world.signVoucher(elsewhere, 1_000n),
        t.world.signVoucher(order, 1_000n, t.world.payer),
      ]
      for (const signed of bad) {
        expect(await ask(node, order, { index: 0n, signedVoucher: toWire(signed) })).toBe('voucher-invalid')
      }
      const raised = toWire({ ...t.world.signVoucher(order, 1n) })
      const forged = { ...raised, voucher: { ...raised.voucher, maxCumulativeFee: '1000' } }
      expect(await ask(node, order, { index: 0n, signedVoucher: forged })).toBe('voucher-invalid')
      expect(await ask(node, order, { index: 0n, signedVoucher: '%' })).toBe('malformed')
      expect(await ask(node, order, { index: 0n, signedVoucher: { voucher: raised.voucher } })).toBe('malformed')
      expect((await node.store.order(order.orderId))?.voucher).toBeUndefined()
    })
  })

  it('many requests at once never come to more than the highest voucher', async () => {
    await t.withNode(options(), async (node) => {
      const order = await t.world.admitted(node, { terms: terms() })
      const signedVoucher = voucher(order, 250n)
      const run = async () => {
        await new Promise((resolve) => setTimeout(resolve, 20))
        return { usage: { inputTokens: 0n, outputTokens: 999n }, contentType: 'a/b' }
      }
      const calls = Array.from({ length: 8 }, (_, i) => t.world.call(order, { index: BigInt(i), signedVoucher, run }))
      const outcomes = (await Promise.all(calls.map((call) => node.service.serve(call)))).map(outcomeOf)
      expect(outcomes.filter((outcome) => outcome === 'served')).toHaveLength(2)
      expect(outcomes.filter((outcome) => outcome === 'voucher-too-low')).toHaveLength(6)
      await node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).released).toBe(200n)
    })
  })

  it('slices are paid by vouchers that name the slice', async () => {
    await t.withNode(options(), async (node) => {
      const [slice] = await t.world.openSlices({ terms: terms() })
      expect(await node.service.admitOrder(orderInput(slice))).toMatchObject({ status: 'admitted' })
      expect(await ask(node, slice, { index: 0n, signedVoucher: voucher(slice, 100n) })).toBe('served')
      await node.service.requestClose(t.world.signClose(slice))
      await node.settler.settleAll(FOREVER)
      expect(await t.settledEvents(slice)).toBe(1)
      expect(await node.store.order(slice.orderId)).toMatchObject({ chain: 'closed', released: 15n })
    })
  })

  it('gives unused slices back without a voucher, asked by the facilitator or by itself', async () => {
    await t.withNode(options(), async (node) => {
      const [asked, silent] = await t.world.openSlices({ terms: terms() })
      if (silent === undefined) throw new TypeError('no slices')
      for (const slice of [asked, silent]) await node.service.admitOrder(orderInput(slice))
      await node.service.requestClose(t.world.signClose(asked, t.world.facilitator))
      await node.settler.settleAll(FOREVER)
      await node.settler.release(silent.orderId)
      expect([await t.settledEvents(asked), await t.settledEvents(silent)]).toEqual([1, 1])
      expect(await node.store.order(silent.orderId)).toMatchObject({ chain: 'closed', released: 0n, inFlight: false })
    })
  })

  it('gives an unused order back without a voucher when its payer asks', async () => {
    await t.withNode(options(), async (node) => {
      const order = await t.world.admitted(node, { terms: terms() })
      await node.service.requestClose(t.world.signClose(order))
      await node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).closed).toBe(true)
      expect(await node.store.order(order.orderId)).toMatchObject({ chain: 'closed', inFlight: false })
    })
  })

  it('a voucher survives the process that took it', async () => {
    const databasePath = t.world.freshBooks()
    const first = await openNode(t.world.options({ ...options(), databasePath }))
    const order = await t.world.admitted(first, { terms: terms() })
    expect(await ask(first, order, { index: 0n, signedVoucher: voucher(order, 100n) })).toBe('served')
    await first.close()
    await t.withNode({ ...options(), databasePath }, async (second) => {
      await second.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).released).toBe(15n)
    })
  })

  it('an order whose requester is a contract without a key gets no work: nobody could sign its vouchers', async () => {
    await t.withNode(options(), async (node) => {
      const requester = t.world.devnet.deployment.token
      const job = { requester, requestHash: `0x${'00'.repeat(32)}` } as const
      const order = await t.world.admitted(node, { terms: terms(), order: { job } })
      expect(await ask(node, order, { index: 0n, signedVoucher: voucher(order, 100n) })).toBe('signature-invalid')
    })
  })
})
