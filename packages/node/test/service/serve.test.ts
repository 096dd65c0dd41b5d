import {
  type Hex,
  ZERO_BYTES32,
  domainSeparator,
  receiptDigest,
  recoverSigner,
  requestHash,
  responseHash,
  structDigest,
  toWire,
} from '@opg/protocol'
import { getAddress } from 'ethers'
import type { PaidCall } from '../../src/service/types.js'
import { hash } from '../support/books.js'
import { heldCall, outcomeOf, setUpNode } from '../support/fixture.js'
import { BODY, PATH } from '../support/world.js'
import { describe, expect, it } from 'vitest'

describe('serve', () => {
  const t = setUpNode()

  describe('an admitted request', () => {
    it('gets its answer with a receipt that adds up and that the evidence key signed', async () => {
      const order = await t.world.admitted(t.node)
      for (const index of [0n, 1n]) {
        const answer = await t.node.service.serve(t.world.call(order, { index }))
        if (answer.status !== 'served') throw new TypeError(outcomeOf(answer))
        const { receipt, signature, signer } = answer.signedReceipt
        expect(receipt).toMatchObject({
          seq: index,
          fee: 15n,
          cumulativeFee: 15n * (index + 1n),
          responseHash: responseHash(answer.body),
        })
        expect(signer).toEqual({ kind: 'ecdsa' })
        expect(recoverSigner(receiptDigest(t.world.separator, receipt), signature)).toBe(t.world.node.address)
      }
    })

    it('has its receipt on the disk before the answer is there (N2)', async () => {
      const order = await t.world.admitted(t.node)
      await t.node.service.serve(t.world.call(order, { index: 0n }))
      expect(
        (await t.node.store.receipts(order.orderId, { from: 0n, limit: 9 })).map(({ receipt }) => receipt.seq),
      ).toEqual([0n])
    })

    it('costs at most its maxFee, whatever the usage says', async () => {
      const order = await t.world.admitted(t.node)
      const run: PaidCall['run'] = () =>
        Promise.resolve({ usage: { inputTokens: 0n, outputTokens: 10n ** 30n }, contentType: 'a/b' })
      const answer = await t.node.service.serve(t.world.call(order, { index: 0n, maxFee: 77n, run }))
      expect(answer).toMatchObject({ status: 'served', signedReceipt: { receipt: { fee: 77n } } })
    })
  })

  describe('the same request again', () => {
    it('gets the stored answer and is not billed twice, also after it expired and the order closed', async () => {
      let nowMs = Date.now()
      const timed = await t.world.openNode({ clock: () => nowMs })
      const order = await t.world.admitted(timed)
      const call = t.world.call(order, { index: 0n })
      const first = await timed.service.serve(call)
      nowMs += 3_600_000
      await timed.service.requestClose(t.world.signClose(order)).catch(() => undefined)
      await timed.settler.settleAll({ signal: new AbortController().signal })
      const again = await timed.service.serve({ ...call, run: () => Promise.reject(new TypeError('ran twice')) })
      expect(again).toMatchObject({ status: 'replayed' })
      if (again.status === 'replayed' && first.status === 'served') {
        expect(Buffer.from(again.body)).toEqual(Buffer.from(first.body))
        expect(again.signedReceipt).toEqual(first.signedReceipt)
      }
      expect((await timed.store.order(order.orderId))?.cumulativeFee).toBe(15n)
      await timed.close()
    })

    it('is refused to whoever did not sign it, though the answer is stored', async () => {
      const order = await t.world.admitted(t.node)
      const call = t.world.call(order, { index: 0n })
      await t.node.service.serve(call)
      const thief = {
        ...t.world.signRequest(order, { index: 0n }),
        signature: t.world.node.signingKey.sign(hash('x')).serialized as Hex,
      }
      expect(outcomeOf(await t.node.service.serve({ ...call, signedRequest: toWire(thief) }))).toBe('signature-invalid')
    })

    it('conflicts under the same index with another hash', async () => {
      const order = await t.world.admitted(t.node)
      expect(await t.serve(order, { index: 0n })).toBe('served')
      expect(await t.serve(order, { index: 0n, maxFee: 99n })).toBe('index-conflict')
    })

    it('waits for the one that runs', async () => {
      const order = await t.world.admitted(t.node)
      const { call, started, release } = heldCall(t.world, order, { index: 0n, maxFee: 100n })
      const running = t.node.service.serve(call)
      await started
      expect(outcomeOf(await t.node.service.serve(call))).toBe('in-progress')
      release()
      expect(outcomeOf(await running)).toBe('served')
      expect(outcomeOf(await t.node.service.serve(call))).toBe('replayed')
    })

    it('runs again where the work failed, for no fee and no seq', async () => {
      const order = await t.world.admitted(t.node)
      const failing: PaidCall['run'] = async ({ emit }) => {
        await emit(new Uint8Array([1]))
        throw new TypeError('no model')
      }
      expect(await t.serve(order, { index: 0n, run: failing })).toBe('failed')
      expect((await t.node.store.order(order.orderId))?.reserved).toBe(0n)
      const answer = await t.node.service.serve(t.world.call(order, { index: 0n }))
      expect(answer).toMatchObject({ status: 'served', signedReceipt: { receipt: { seq: 0n, cumulativeFee: 15n } } })
    })
  })

  describe('many at once', () => {
    it('never admits more than the order holds, over two processes of one node key (N3, F20)', async () => {
      const databasePath = t.world.freshBooks()
      const [one, two] = [await t.world.openNode({ databasePath }), await t.world.openNode({ databasePath })]
      const order = await t.world.admitted(one)
      const all = Array.from({ length: 12 }, (_, i) => heldCall(t.world, order, { index: BigInt(i), maxFee: 150n }))
      const running = all.map(({ call }, i) => (i % 2 === 0 ? one : two).service.serve(call))
      // Whichever six they are: each process reserves for several at a time.
      let begun = 0
      const six = new Promise<void>((resolve) => {
        for (const { started } of all) {
          void started.then(() => {
            begun += 1
            if (begun === 6) resolve()
          })
        }
      })
      await Promise.race([six, Promise.all(running)])
      all.forEach(({ release }) => {
        release()
      })
      const outcomes = (await Promise.all(running)).map(outcomeOf)
      expect(outcomes.filter((outcome) => outcome === 'served')).toHaveLength(6) // 6 × 150 of 1,000
      expect(outcomes.filter((outcome) => outcome === 'order-exhausted')).toHaveLength(6)
      const stored = await one.store.order(order.orderId)
      expect(stored).toMatchObject({ cumulativeFee: 900n, receiptCount: 6n, reserved: 0n })
      await one.close()
      await two.close()
    })

    it('signs no two receipts with one seq, over two processes', async () => {
      const databasePath = t.world.freshBooks()
      const [one, two] = [await t.world.openNode({ databasePath }), await t.world.openNode({ databasePath })]
      const order = await t.world.admitted(one, { order: { amount: 100_000n } })
      const calls = Array.from({ length: 40 }, (_, i) =>
        (i % 2 === 0 ? one : two).service.serve(t.world.call(order, { index: BigInt(i) })),
      )
      const answers = await Promise.all(calls)
      const seqs = answers.map((answer) => (answer.status === 'served' ? Number(answer.signedReceipt.receipt.seq) : -1))
      expect(seqs.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i))
      await one.close()
      await two.close()
    })
  })

  describe('a request that does not belong here', () => {
    it.each([
      ['signed for another node', { node: '0x9999999999999999999999999999999999999999' }, 'wrong-node'],
      ['of an order that nobody handed in', { orderId: hash('none') }, 'order-unknown'],
      ['that expired', { expiresAt: 1_000 }, 'request-expired'],
      ['that is signed for other bytes', { requestHash: hash('other') }, 'request-hash-mismatch'],
      ['that pays less than it may cost', { maxFee: 14n }, 'max-fee-too-low'],
      ['for more than the order holds', { maxFee: 1_001n }, 'order-exhausted'],
    ] as const)('is refused: %s', async (_, overrides, reason) => {
      const order = await t.world.admitted(t.node)
      const signedRequest = toWire(t.world.signRequest(order, { index: 0n, ...overrides }))
      expect(await t.serve(order, { index: 0n, signedRequest })).toBe(reason)
    })

    it('is refused in the second in which it expires', async () => {
      let nowMs = Date.now()
      const timed = await t.world.openNode({ clock: () => nowMs })
      const order = await t.world.admitted(timed)
      const expiresAt = Math.floor(nowMs / 1000) + 10
      const signedRequest = toWire(t.world.signRequest(order, { index: 0n, expiresAt }))
      nowMs = expiresAt * 1000
      expect(await t.serve(order, { index: 0n, signedRequest }, timed)).toBe('request-expired')
      nowMs -= 1
      expect(await t.serve(order, { index: 0n, signedRequest }, timed)).toBe('served')
      await timed.close()
    })

    it('is refused when it is signed for the wrong chain, or another escrow', async () => {
      const order = await t.world.admitted(t.node)
      const { request } = t.world.signRequest(order, { index: 0n })
      for (const context of [
        { chainId: 1n, escrow: t.world.escrow },
        { chainId: BigInt(t.world.devnet.chainId), escrow: t.world.devnet.deployment.token },
      ]) {
        const digest = structDigest(domainSeparator(context), { name: 'InferenceRequest', value: request })
        const signature = t.world.requester.signingKey.sign(digest).serialized as Hex
        expect(await t.serve(order, { index: 0n, signedRequest: toWire({ request, signature }) })).toBe(
          'signature-invalid',
        )
      }
    })

    it('is refused when the payer signed it though another is the requester', async () => {
      const order = await t.world.admitted(t.node)
      const signedRequest = toWire(t.world.signRequest({ ...order, requester: t.world.payer }, { index: 0n }))
      expect(await t.serve(order, { index: 0n, signedRequest })).toBe('signature-invalid')
    })

    it('is refused for a model that the order does not pay for', async () => {
      const order = await t.world.admitted(t.node)
      expect(await t.serve(order, { index: 0n, modelId: hash('dear') })).toBe('wrong-model')
    })

    it.each([undefined, null, 7, '', 'not base64url!', {}, { request: {}, signature: '0x' }, '%'.repeat(9_000)])(
      'is refused as malformed: %j',
      async (signedRequest) => {
        const order = await t.world.admitted(t.node)
        expect(await t.serve(order, { index: 0n, signedRequest })).toBe('malformed')
      },
    )
  })

  describe('a requester that is a contract (ERC-1271)', () => {
    // Contracts that answer every call alike: with the magic word, with nothing, and by reverting.
    it.each([
      ['takes', '0x631626ba7e60e01b60005260206000f3', 'served'],
      ['answers nothing to', '0x00', 'signature-invalid'],
      ['reverts on', '0x60006000fd', 'signature-invalid'],
    ])('is asked itself: it %s the signature', async (_, code, outcome) => {
      const wallet = `0x${outcome.length.toString(16).padStart(2, '0')}${code.slice(2, 8).padEnd(38, '0')}` as Hex
      await t.world.devnet.provider.send('anvil_setCode', [wallet, code])
      const requester = getAddress(wallet) as Hex
      const order = await t.world.admitted(t.node, { order: { job: { requester, requestHash: ZERO_BYTES32 } } })
      expect(await t.serve(order, { index: 0n })).toBe(outcome)
    })
  })

  describe('an order for one request', () => {
    it('pays for that request only, and once', async () => {
      const pinned = requestHash(PATH, new TextEncoder().encode(BODY))
      const requester = t.world.requester.address as Hex
      const order = await t.world.admitted(t.node, { order: { job: { requester, requestHash: pinned } } })
      const other = new TextEncoder().encode('other')
      const forOther = toWire(t.world.signRequest(order, { index: 0n, body: 'other' }))
      expect(
        outcomeOf(
          await t.node.service.serve({ ...t.world.call(order, { index: 0n }), body: other, signedRequest: forOther }),
        ),
      ).toBe('request-not-pinned')
      expect(await t.serve(order, { index: 0n })).toBe('served')
      expect(await t.serve(order, { index: 1n })).toBe('order-exhausted')
    })
  })

  it('starts nothing within its margin to claimBy, though the order was admitted earlier', async () => {
    let nowMs = Date.now()
    const timed = await t.world.openNode({ clock: () => nowMs, gate: { minSecondsToClaimBy: 900 } })
    const order = await t.world.admitted(timed)
    const expiresAt = order.order.claimBy
    const sign = (index: bigint): unknown => toWire(t.world.signRequest(order, { index, expiresAt }))
    nowMs = (order.order.claimBy - 900) * 1000
    expect(await t.serve(order, { index: 0n, signedRequest: sign(0n) }, timed)).toBe('served')
    nowMs += 1000
    expect(await t.serve(order, { index: 1n, signedRequest: sign(1n) }, timed)).toBe('order-expires-too-soon')
    await timed.close()
  })

  it('says nothing of any key in its log (N8)', () => {
    const secrets = t.world.devnet.wallets.map(({ privateKey }) => privateKey.slice(2))
    expect(t.world.logged.length).toBeGreaterThan(0)
    for (const line of t.world.logged) for (const secret of secrets) expect(line).not.toContain(secret)
  })
})
