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
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { PaymentNode } from '../../src/service/openNode.js'
import type { PaidAnswer, PaidCall } from '../../src/service/types.js'
import { hash } from '../support/books.js'
import { type FlakyRpc, type RpcMood, startFlakyRpc } from '../support/flakyRpc.js'
import { BODY, type OpenOrder, PATH, World, orderInput } from '../support/world.js'

describe('serve', () => {
  let world: World
  let node: PaymentNode

  beforeAll(async () => {
    world = await World.start()
  })
  afterAll(() => world.stop())
  beforeEach(async () => {
    node = await world.openNode()
  })
  afterEach(() => node.close())

  function outcomeOf(answer: PaidAnswer): string {
    return answer.status === 'refused' ? answer.reason : answer.status
  }

  async function serve(order: OpenOrder, input: Parameters<World['call']>[1], at = node): Promise<string> {
    return outcomeOf(await at.service.serve(world.call(order, input)))
  }

  /** A call that stays in its work until released. */
  function held(
    order: OpenOrder,
    index: bigint,
    maxFee: bigint,
  ): { readonly call: PaidCall; readonly started: Promise<void>; readonly release: () => void } {
    let release = (): void => undefined
    let start = (): void => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    const started = new Promise<void>((resolve) => (start = resolve))
    const call = world.call(order, {
      index,
      maxFee,
      run: async ({ emit }) => {
        start()
        await gate
        await emit(new Uint8Array([1]))
        return { usage: { inputTokens: 0n, outputTokens: 1_000n }, contentType: 'text/plain' }
      },
    })
    return {
      call,
      started,
      release: () => {
        release()
      },
    }
  }

  describe('an admitted request', () => {
    it('gets its answer with a receipt that adds up and that the evidence key signed', async () => {
      const order = await world.admitted(node)
      for (const index of [0n, 1n]) {
        const answer = await node.service.serve(world.call(order, { index }))
        if (answer.status !== 'served') throw new TypeError(outcomeOf(answer))
        const { receipt, signature, signer } = answer.signedReceipt
        expect(receipt).toMatchObject({
          seq: index,
          fee: 15n,
          cumulativeFee: 15n * (index + 1n),
          responseHash: responseHash(answer.body),
        })
        expect(signer).toEqual({ kind: 'ecdsa' })
        expect(recoverSigner(receiptDigest(world.separator, receipt), signature)).toBe(world.node.address)
      }
    })

    it('has its receipt on the disk before the answer is there (N2)', async () => {
      const order = await world.admitted(node)
      await node.service.serve(world.call(order, { index: 0n }))
      expect(
        (await node.store.receipts(order.orderId, { from: 0n, limit: 9 })).map(({ receipt }) => receipt.seq),
      ).toEqual([0n])
    })

    it('costs at most its maxFee, whatever the usage says', async () => {
      const order = await world.admitted(node)
      const run: PaidCall['run'] = () =>
        Promise.resolve({ usage: { inputTokens: 0n, outputTokens: 10n ** 30n }, contentType: 'a/b' })
      const answer = await node.service.serve(world.call(order, { index: 0n, maxFee: 77n, run }))
      expect(answer).toMatchObject({ status: 'served', signedReceipt: { receipt: { fee: 77n } } })
    })
  })

  describe('the same request again', () => {
    it('gets the stored answer and is not billed twice, also after it expired and the order closed', async () => {
      let nowMs = Date.now()
      const timed = await world.openNode({ clock: () => nowMs })
      const order = await world.admitted(timed)
      const call = world.call(order, { index: 0n })
      const first = await timed.service.serve(call)
      nowMs += 3_600_000
      await timed.service.requestClose(world.signClose(order)).catch(() => undefined)
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
      const order = await world.admitted(node)
      const call = world.call(order, { index: 0n })
      await node.service.serve(call)
      const thief = {
        ...world.signRequest(order, { index: 0n }),
        signature: world.node.signingKey.sign(hash('x')).serialized as Hex,
      }
      expect(outcomeOf(await node.service.serve({ ...call, signedRequest: toWire(thief) }))).toBe('signature-invalid')
    })

    it('conflicts under the same index with another hash', async () => {
      const order = await world.admitted(node)
      expect(await serve(order, { index: 0n })).toBe('served')
      expect(await serve(order, { index: 0n, maxFee: 99n })).toBe('index-conflict')
    })

    it('waits for the one that runs', async () => {
      const order = await world.admitted(node)
      const { call, started, release } = held(order, 0n, 100n)
      const running = node.service.serve(call)
      await started
      expect(outcomeOf(await node.service.serve(call))).toBe('in-progress')
      release()
      expect(outcomeOf(await running)).toBe('served')
      expect(outcomeOf(await node.service.serve(call))).toBe('replayed')
    })

    it('runs again where the work failed, for no fee and no seq', async () => {
      const order = await world.admitted(node)
      const failing: PaidCall['run'] = async ({ emit }) => {
        await emit(new Uint8Array([1]))
        throw new TypeError('no model')
      }
      expect(await serve(order, { index: 0n, run: failing })).toBe('failed')
      expect((await node.store.order(order.orderId))?.reserved).toBe(0n)
      const answer = await node.service.serve(world.call(order, { index: 0n }))
      expect(answer).toMatchObject({ status: 'served', signedReceipt: { receipt: { seq: 0n, cumulativeFee: 15n } } })
    })
  })

  describe('many at once', () => {
    it('never admits more than the order holds, over two processes of one node key (N3, F20)', async () => {
      const databasePath = world.freshBooks()
      const [one, two] = [await world.openNode({ databasePath }), await world.openNode({ databasePath })]
      const order = await world.admitted(one)
      const all = Array.from({ length: 12 }, (_, i) => held(order, BigInt(i), 150n))
      const running = all.map(({ call }, i) => (i % 2 === 0 ? one : two).service.serve(call))
      await Promise.race([Promise.all(all.slice(0, 6).map(({ started }) => started)), Promise.all(running)])
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
      const databasePath = world.freshBooks()
      const [one, two] = [await world.openNode({ databasePath }), await world.openNode({ databasePath })]
      const order = await world.admitted(one, { order: { amount: 100_000n } })
      const calls = Array.from({ length: 40 }, (_, i) =>
        (i % 2 === 0 ? one : two).service.serve(world.call(order, { index: BigInt(i) })),
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
      const order = await world.admitted(node)
      const signedRequest = toWire(world.signRequest(order, { index: 0n, ...overrides }))
      expect(await serve(order, { index: 0n, signedRequest })).toBe(reason)
    })

    it('is refused in the second in which it expires', async () => {
      let nowMs = Date.now()
      const timed = await world.openNode({ clock: () => nowMs })
      const order = await world.admitted(timed)
      const expiresAt = Math.floor(nowMs / 1000) + 10
      const signedRequest = toWire(world.signRequest(order, { index: 0n, expiresAt }))
      nowMs = expiresAt * 1000
      expect(await serve(order, { index: 0n, signedRequest }, timed)).toBe('request-expired')
      nowMs -= 1
      expect(await serve(order, { index: 0n, signedRequest }, timed)).toBe('served')
      await timed.close()
    })

    it('is refused when it is signed for the wrong chain, or another escrow', async () => {
      const order = await world.admitted(node)
      const { request } = world.signRequest(order, { index: 0n })
      for (const context of [
        { chainId: 1n, escrow: world.escrow },
        { chainId: BigInt(world.devnet.chainId), escrow: world.devnet.deployment.token },
      ]) {
        const digest = structDigest(domainSeparator(context), { name: 'InferenceRequest', value: request })
        const signature = world.requester.signingKey.sign(digest).serialized as Hex
        expect(await serve(order, { index: 0n, signedRequest: toWire({ request, signature }) })).toBe(
          'signature-invalid',
        )
      }
    })

    it('is refused when the payer signed it though another is the requester', async () => {
      const order = await world.admitted(node)
      const signedRequest = toWire(world.signRequest({ ...order, requester: world.payer }, { index: 0n }))
      expect(await serve(order, { index: 0n, signedRequest })).toBe('signature-invalid')
    })

    it('is refused for a model that the order does not pay for', async () => {
      const order = await world.admitted(node)
      expect(await serve(order, { index: 0n, modelId: hash('dear') })).toBe('wrong-model')
    })

    it.each([undefined, null, 7, '', 'not base64url!', {}, { request: {}, signature: '0x' }, '%'.repeat(9_000)])(
      'is refused as malformed: %j',
      async (signedRequest) => {
        const order = await world.admitted(node)
        expect(await serve(order, { index: 0n, signedRequest })).toBe('malformed')
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
      await world.devnet.provider.send('anvil_setCode', [wallet, code])
      const requester = getAddress(wallet) as Hex
      const order = await world.admitted(node, { order: { job: { requester, requestHash: ZERO_BYTES32 } } })
      expect(await serve(order, { index: 0n })).toBe(outcome)
    })
  })

  describe('an order for one request', () => {
    it('pays for that request only, and once', async () => {
      const pinned = requestHash(PATH, new TextEncoder().encode(BODY))
      const requester = world.requester.address as Hex
      const order = await world.admitted(node, { order: { job: { requester, requestHash: pinned } } })
      const other = new TextEncoder().encode('other')
      const forOther = toWire(world.signRequest(order, { index: 0n, body: 'other' }))
      expect(
        outcomeOf(
          await node.service.serve({ ...world.call(order, { index: 0n }), body: other, signedRequest: forOther }),
        ),
      ).toBe('request-not-pinned')
      expect(await serve(order, { index: 0n })).toBe('served')
      expect(await serve(order, { index: 1n })).toBe('order-exhausted')
    })
  })

  describe('streaming', () => {
    it('holds the reservation before the first byte, and the receipt after the last', async () => {
      const order = await world.admitted(node)
      const seen: string[] = []
      const answer = await node.service.serve(
        world.call(order, {
          index: 0n,
          run: async ({ emit }) => {
            for (const text of ['a', 'b']) await emit(new TextEncoder().encode(text))
            return { usage: { inputTokens: 0n, outputTokens: 2n }, contentType: 'text/event-stream' }
          },
          onChunk: async (chunk) => {
            const stored = await node.store.order(order.orderId)
            seen.push(`${new TextDecoder().decode(chunk)} ${String(stored?.reserved)} ${String(stored?.receiptCount)}`)
          },
        }),
      )
      expect(seen).toEqual(['a 100 0', 'b 100 0'])
      expect(answer).toMatchObject({
        status: 'served',
        signedReceipt: { receipt: { fee: 12n, responseHash: responseHash(new TextEncoder().encode('ab')) } },
      })
    })

    it('bills what was sent to a client that leaves, and no more (F19)', async () => {
      const order = await world.admitted(node)
      const client = new AbortController()
      let sent = 0
      const answer = await node.service.serve(
        world.call(order, {
          index: 0n,
          signal: client.signal,
          run: async ({ emit, signal }) => {
            let tokens = 0n
            while (!signal.aborted && tokens < 50n) {
              await emit(new Uint8Array([65]))
              tokens += 1n
            }
            return { usage: { inputTokens: 0n, outputTokens: tokens }, contentType: 'text/plain' }
          },
          onChunk: () => {
            sent += 1
            if (sent === 3) client.abort()
          },
        }),
      )
      expect(answer).toMatchObject({
        status: 'served',
        signedReceipt: { receipt: { fee: 13n, responseHash: responseHash(new TextEncoder().encode('AAA')) } },
      })
      expect((await node.store.order(order.orderId))?.reserved).toBe(0n)
    })

    it('keeps what a client never took out of the answer that it is billed for', async () => {
      const order = await world.admitted(node)
      const answer = await node.service.serve(
        world.call(order, {
          index: 0n,
          run: async ({ emit }) => {
            for (const byte of [65, 66, 67]) await emit(new Uint8Array([byte]))
            return { usage: { inputTokens: 0n, outputTokens: 1n }, contentType: 'text/plain' }
          },
          onChunk: (chunk) => {
            if (chunk[0] === 66) throw new TypeError('broken pipe')
          },
        }),
      )
      expect(answer).toMatchObject({
        status: 'served',
        signedReceipt: { receipt: { responseHash: responseHash(new TextEncoder().encode('A')) } },
      })
    })

    it('runs nothing for a client that has gone before the start', async () => {
      const order = await world.admitted(node)
      const signal = AbortSignal.abort()
      expect(await serve(order, { index: 0n, signal, onChunk: () => undefined })).toBe('failed')
      expect(await node.store.order(order.orderId)).toMatchObject({ reserved: 0n, receiptCount: 0n })
    })

    it('gives no free work to a client that leaves before a buffered answer', async () => {
      const order = await world.admitted(node)
      expect(await serve(order, { index: 0n, signal: AbortSignal.abort() })).toBe('served')
      expect(await serve(order, { index: 0n })).toBe('replayed')
    })
  })

  describe('closing', () => {
    it('ends admission at once when the payer asks for it, and gives the rest back', async () => {
      const order = await world.admitted(node)
      expect(await serve(order, { index: 0n })).toBe('served')
      expect(await node.service.requestClose(world.signClose(order))).toEqual({
        status: 'closing',
        orderId: order.orderId,
      })
      expect(await serve(order, { index: 1n })).toBe('order-closing')
      const before = await world.devnet.contracts.token.balanceOf(world.payer.address)
      await node.settler.settleAll({ signal: new AbortController().signal })
      expect((await world.devnet.contracts.token.balanceOf(world.payer.address)) - before).toBe(985n)
    })

    it('is refused to anyone but the payer', async () => {
      const order = await world.admitted(node)
      expect(await node.service.requestClose(world.signClose(order, world.requester))).toMatchObject({
        reason: 'signature-invalid',
      })
      expect(await node.service.requestClose({ closeRequest: 1 })).toMatchObject({ reason: 'malformed' })
      expect(await serve(order, { index: 0n })).toBe('served')
    })

    it('never signs a close while a request runs: a receipt after it could not be settled', async () => {
      const order = await world.admitted(node)
      const { call, started, release } = held(order, 0n, 500n)
      const running = node.service.serve(call)
      await started
      await node.service.requestClose(world.signClose(order))
      await node.settler.settleOnce({ force: true })
      expect((await world.devnet.contracts.escrow.orders(order.orderId)).closed).toBe(false)
      release()
      expect(outcomeOf(await running)).toBe('served')
      await node.settler.settleAll({ signal: new AbortController().signal })
      expect((await world.devnet.contracts.escrow.orders(order.orderId)).closed).toBe(true)
      expect(await node.store.order(order.orderId)).toMatchObject({ cumulativeFee: 500n, released: 500n })
    })
  })

  describe('the chain', () => {
    let rpc: FlakyRpc
    let refreshing: PaymentNode

    beforeEach(async () => {
      rpc = await startFlakyRpc(world.devnet.rpcUrl)
      refreshing = await world.openNode({ rpc: rpc.url, gate: { refreshAfterMs: 0 } })
    })
    afterEach(async () => {
      await refreshing.close()
      await rpc.stop()
    })

    it.each<RpcMood>(['error', 'garbage', 'hang-up'])(
      'is unavailable, and nothing invalid or paid, while the RPC answers with %s (N6)',
      async (mood) => {
        const order = await world.admitted(refreshing)
        const fresh = await world.open()
        rpc.mood = mood
        expect(await serve(order, { index: 0n }, refreshing)).toBe('unavailable')
        expect(await refreshing.service.admitOrder(orderInput(fresh))).toMatchObject({
          reason: 'unavailable',
          httpStatus: 503,
        })
        const unsure = toWire(world.signRequest({ ...order, requester: world.payer }, { index: 0n }))
        expect(await serve(order, { index: 0n, signedRequest: unsure }, refreshing)).toBe('unavailable')
        expect(await refreshing.status()).toMatchObject({ credits: undefined })
        rpc.mood = 'well'
        expect(await serve(order, { index: 0n }, refreshing)).toBe('served')
      },
    )

    it('ends admission when the order was closed behind its back', async () => {
      const order = await world.admitted(refreshing)
      await (await world.devnet.contracts.escrow.connect(world.node).release(order.terms, order.order)).wait()
      expect(await serve(order, { index: 0n }, refreshing)).toBe('order-closed')
    })

    it('ends admission when a reorg took the opening, and begins again when it is back', async () => {
      const order = await world.admitted(refreshing)
      expect(await serve(order, { index: 0n }, refreshing)).toBe('served')
      await world.devnet.reorg(1)
      expect(await serve(order, { index: 1n }, refreshing)).toBe('order-not-open')
      await (await world.devnet.contracts.escrow.connect(world.payer).openFunded(order.terms, order.order)).wait()
      expect(await serve(order, { index: 1n }, refreshing)).toBe('served')
    })

    it('is not flooded by a flood of bad signatures', async () => {
      const order = await world.admitted(node)
      const calm = await world.openNode({ rpc: rpc.url })
      await calm.service.admitOrder(orderInput(order))
      rpc.asked.length = 0
      for (const index of [0n, 1n, 2n]) {
        const signedRequest = toWire(world.signRequest({ ...order, requester: world.payer }, { index }))
        expect(await serve(order, { index, signedRequest }, calm)).toBe('signature-invalid')
      }
      expect(rpc.asked).toEqual(['eth_getCode'])
      await calm.close()
    })

    it('is not asked again for every request', async () => {
      const order = await world.admitted(node)
      const calm = await world.openNode({ rpc: rpc.url })
      await calm.service.admitOrder(orderInput(order))
      rpc.asked.length = 0
      for (const index of [0n, 1n, 2n]) expect(await serve(order, { index }, calm)).toBe('served')
      expect(rpc.asked).toEqual([])
      await calm.close()
    })
  })

  it('starts nothing within its margin to claimBy, though the order was admitted earlier', async () => {
    let nowMs = Date.now()
    const timed = await world.openNode({ clock: () => nowMs, gate: { minSecondsToClaimBy: 900 } })
    const order = await world.admitted(timed)
    const expiresAt = order.order.claimBy
    const sign = (index: bigint): unknown => toWire(world.signRequest(order, { index, expiresAt }))
    nowMs = (order.order.claimBy - 900) * 1000
    expect(await serve(order, { index: 0n, signedRequest: sign(0n) }, timed)).toBe('served')
    nowMs += 1000
    expect(await serve(order, { index: 1n, signedRequest: sign(1n) }, timed)).toBe('order-expires-too-soon')
    await timed.close()
  })

  it('says nothing of any key in its log (N8)', () => {
    const secrets = world.devnet.wallets.map(({ privateKey }) => privateKey.slice(2))
    expect(world.logged.length).toBeGreaterThan(0)
    for (const line of world.logged) for (const secret of secrets) expect(line).not.toContain(secret)
  })
})
