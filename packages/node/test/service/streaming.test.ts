import { responseHash } from '@opg/protocol'
import { setUpNode } from '../support/fixture.js'
import { describe, expect, it } from 'vitest'

describe('serve, streaming', () => {
  const t = setUpNode()

  it('holds the reservation before the first byte, and the receipt after the last', async () => {
    const order = await t.world.admitted(t.node)
    const seen: string[] = []
    const answer = await t.node.service.serve(
      t.world.call(order, {
        index: 0n,
        run: async ({ emit }) => {
          for (const text of ['a', 'b']) await emit(new TextEncoder().encode(text))
          return { usage: { inputTokens: 0n, outputTokens: 2n }, contentType: 'text/event-stream' }
        },
        onChunk: async (chunk) => {
          const stored = await t.node.store.order(order.orderId)
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
    const order = await t.world.admitted(t.node)
    const client = new AbortController()
    let sent = 0
    const answer = await t.node.service.serve(
      t.world.call(order, {
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
    expect((await t.node.store.order(order.orderId))?.reserved).toBe(0n)
  })

  it('keeps what a client never took out of the answer that it is billed for', async () => {
    const order = await t.world.admitted(t.node)
    const answer = await t.node.service.serve(
      t.world.call(order, {
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
    const order = await t.world.admitted(t.node)
    const signal = AbortSignal.abort()
    expect(await t.serve(order, { index: 0n, signal, onChunk: () => undefined })).toBe('failed')
    expect(await t.node.store.order(order.orderId)).toMatchObject({ reserved: 0n, receiptCount: 0n })
  })

  it('gives no free work to a client that leaves before a buffered answer', async () => {
    const order = await t.world.admitted(t.node)
    expect(await t.serve(order, { index: 0n, signal: AbortSignal.abort() })).toBe('served')
    expect(await t.serve(order, { index: 0n })).toBe('replayed')
  })
})
