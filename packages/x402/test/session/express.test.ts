import { afterAll, afterEach, beforeAll, beforeEach, describe, describe as context, expect, it } from 'vitest'
import { parseOpg, parseWorkOrderPayment } from '@opg/protocol'
import { decodePaymentRequiredHeader, decodePaymentResponseHeader } from '@x402/core/http'
import type { PaymentPayload } from '@x402/core/types'
import { setSettlementOverrides } from '@x402/express'
import { Contract } from 'ethers'
import { type PayingFetch, payFetch } from '../../src/index.js'
import { errorOf } from '../support/buyer.js'
import { FEE, HASTY_PATH, Shop, asking } from '../support/shop.js'

describe('sessions through stock express', () => {
  let shop: Shop
  let fetch: PayingFetch
  /** Payment headers as they went out. */
  let sent: string[]

  beforeAll(async () => {
    shop = await Shop.open()
  })
  afterAll(() => shop.close())
  beforeEach(() => {
    sent = []
    shop.handled.length = 0
    shop.openings.length = 0
    const noting: typeof globalThis.fetch = (input, init) => {
      const header = new Headers(init?.headers).get('payment-signature')
      if (header !== null) sent.push(header)
      return globalThis.fetch(input, init)
    }
    fetch = payFetch(shop.payer, shop.options({ fetch: noting, attempts: 2 }))
  })
  afterEach(() => {
    shop.handler = undefined
  })

  const last = (): string => sent.at(-1) ?? ''
  const bookOf = async (header: string) => {
    const { payload } = JSON.parse(Buffer.from(header, 'base64').toString()) as PaymentPayload
    const book = await shop.node.store.order(parseWorkOrderPayment(payload).request.orderId)
    if (book === undefined) throw new TypeError('the seller does not know the order')
    return book
  }
  /** Sends a payment header by hand. */
  const resend = (header: string, body: string, url = shop.url): Promise<Response> =>
    globalThis.fetch(url, asking(body, { headers: { 'payment-signature': header } }))
  const errorIn = (response: Response): string | undefined =>
    decodePaymentRequiredHeader(response.headers.get('payment-required') ?? '').error
  /** A header with something in its scheme payload changed. */
  const altered = (header: string, change: (payload: Record<string, unknown>) => Record<string, unknown>): string => {
    const payment = JSON.parse(Buffer.from(header, 'base64').toString()) as PaymentPayload
    return Buffer.from(JSON.stringify({ ...payment, payload: change(payment.payload) })).toString('base64')
  }

  it('opens one order for many requests, and charges what the handler says', async () => {
    for (const question of ['one', 'two', 'three']) {
      const response = await fetch(shop.url, asking(question))
      expect(await response.json()).toEqual({ answer: question })
      const settled = decodePaymentResponseHeader(response.headers.get('payment-response') ?? '')
      expect(settled).toMatchObject({ success: true, amount: FEE.toString() })
    }
    expect(shop.openings).toHaveLength(1)
    expect(await bookOf(last())).toMatchObject({ cumulativeFee: 3n * FEE, reserved: 0n, receiptCount: 3n })
  })

  it('opens each order once for fifty first requests at once', async () => {
    const asked = Array.from({ length: 50 }, (_, i) => fetch(shop.url, asking(String(i))))
    const answers = await Promise.all(asked)
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 200))
    expect(new Set(shop.openings).size).toBe(shop.openings.length)
    expect(shop.handled).toHaveLength(50)
  })

  it('serves an order that it knows while its chain is down, and no other', async () => {
    await fetch(shop.url, asking('first'))
    shop.rpc.isDown = true
    try {
      const answers = await Promise.all(['a', 'b', 'c'].map((question) => fetch(shop.url, asking(question))))
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
      const stranger = payFetch(shop.payer, shop.options({ attempts: 2 }))
      // Down is "later", never "invalid" (N6).
      expect(await errorOf(stranger(shop.url, asking('new')))).toMatchObject({ code: 'PAYMENT_UNCERTAIN' })
      expect(shop.handled).not.toContain('new')
    } finally {
      shop.rpc.isDown = false
    }
  })

  it('settles on chain by itself, and the rest comes back when the payer asks', async () => {
    const before = await shop.balanceOf(shop.payer.address)
    await fetch(shop.url, asking('one'))
    const { orderId } = await bookOf(last())
    expect(await shop.balanceOf(shop.payer.address)).toBe(before - parseOpg('1'))
    await shop.node.store.startClosing(orderId, 'requested')
    await shop.node.settler.settleOnce({ force: true })
    await shop.node.settler.settleOnce({ force: true })
    expect(await shop.balanceOf(shop.payer.address)).toBe(before - FEE)
  })

  context('when a header comes again', () => {
    it('sends the stored answer, runs nothing and charges nothing', async () => {
      const first = await fetch(shop.url, asking('one'))
      const body = await first.text()
      const again = await resend(last(), 'one')
      expect(again.status).toBe(200)
      expect(await again.text()).toBe(body)
      expect(again.headers.get('payment-response')).toBe(first.headers.get('payment-response'))
      expect(shop.handled).toEqual(['one'])
      expect(await bookOf(last())).toMatchObject({ receiptCount: 1n, cumulativeFee: FEE })
    })

    it('runs one of two at once', async () => {
      let goOn = (): void => undefined
      const held = new Promise<void>((resolve) => {
        goOn = resolve
      })
      let begun = (): void => undefined
      const running = new Promise<void>((resolve) => {
        begun = resolve
      })
      shop.handler = async (_, response) => {
        begun()
        await held
        response.json({ answer: 'slow' })
      }
      const first = fetch(shop.url, asking('slow'))
      await running
      const second = await resend(last(), 'slow')
      expect([second.status, errorIn(second)]).toEqual([402, 'in_progress'])
      goOn()
      expect((await first).status).toBe(200)
      expect(shop.handled).toEqual(['slow'])
    })

    it('refuses it for another body and another path', async () => {
      await fetch(shop.url, asking('one'))
      const other = await resend(last(), 'two')
      expect([other.status, errorIn(other)]).toEqual([402, 'request_hash_mismatch'])
      expect(shop.handled).toEqual(['one'])
    })
  })

  context('when the handler fails', () => {
    const failures: readonly (readonly [name: string, handler: NonNullable<Shop['handler']>])[] = [
      [
        'by throwing',
        () => {
          throw new TypeError('broken')
        },
      ],
      ['by status 500', (_, response) => void response.status(500).json({ error: 'broken' })],
      ['by writeHead', (_, response) => void response.writeHead(500, { 'content-type': 'text/plain' }).end('broken')],
      ['by breaking off', (_, response) => void response.destroy()],
      ['by status 404', (_, response) => void response.sendStatus(404)],
    ]
    it.each(failures)('%s, charges nothing and holds nothing', async (_, handler) => {
      await fetch(shop.url, asking('warm'))
      shop.handler = handler
      expect(
        await fetch(shop.url, asking('x')).then(
          ({ ok }) => ok,
          () => false,
        ),
      ).toBe(false)
      await expect.poll(() => bookOf(last())).toMatchObject({ cumulativeFee: FEE, reserved: 0n, reservations: 0 })
      shop.handler = undefined
      expect((await resend(last(), 'x')).status).toBe(200) // the same request may run again
      expect(await bookOf(last())).toMatchObject({ cumulativeFee: 2n * FEE })
    })

    it('by taking too long, charges nothing', async () => {
      const url = `${shop.origin}${HASTY_PATH}`
      shop.handler = async (_, response) => {
        await new Promise((resolve) => setTimeout(resolve, 1_500))
        response.json({ answer: 'late' })
      }
      expect(await errorOf(fetch(url, asking('x')))).toMatchObject({ reason: 'reservation_lost' })
      // What is given back is given back after the answer.
      await expect.poll(() => bookOf(last())).toMatchObject({ cumulativeFee: 0n, reserved: 0n })
    })

    it('by asking for more than the request allows, charges nothing', async () => {
      shop.handler = (_, response) => {
        setSettlementOverrides(response, { amount: parseOpg('0.06').toString() })
        response.json({})
      }
      expect(await errorOf(fetch(shop.url, asking('x')))).toMatchObject({ code: 'PAYMENT_REFUSED' })
      // What is given back is given back after the answer.
      await expect.poll(() => bookOf(last())).toMatchObject({ cumulativeFee: 0n, reserved: 0n })
    })
  })

  it('commits the answer of a client that left meanwhile, which can fetch it with the same header', async () => {
    const stop = new AbortController()
    shop.handler = async (_, response) => {
      stop.abort(new TypeError('gone'))
      await new Promise((resolve) => setTimeout(resolve, 50))
      setSettlementOverrides(response, { amount: FEE.toString() })
      response.json({ answer: 'late' })
    }
    expect(await errorOf(fetch(shop.url, asking('x', { signal: stop.signal })))).toMatchObject({ message: 'gone' })
    await expect.poll(async () => (await bookOf(last())).receiptCount).toBe(1n)
    expect(await (await resend(last(), 'x')).json()).toEqual({ answer: 'late' })
    expect(await bookOf(last())).toMatchObject({ receiptCount: 1n, cumulativeFee: FEE })
  })

  context('when a payload is altered', () => {
    const changes: readonly (readonly [
      name: string,
      change: (payload: Record<string, unknown>) => Record<string, unknown>,
      error: string,
    ])[] = [
      [
        'brings a step that only sellers may write',
        (payload) => ({ ...payload, opg: { body: '0x', contentType: 'x' } }),
        'invalid_payload',
      ],
      ['has members that are none', (payload) => ({ ...payload, phase: 'capture' }), 'invalid_payload'],
      [
        'raises maxFee',
        (payload) => ({ ...payload, request: { ...Object(payload['request']), maxFee: '999' } }),
        'signature_invalid',
      ],
      [
        'lowers maxFee',
        (payload) => ({ ...payload, request: { ...Object(payload['request']), maxFee: '1' } }),
        'signature_invalid',
      ],
      [
        'takes another index',
        (payload) => ({ ...payload, request: { ...Object(payload['request']), index: '99' } }),
        'signature_invalid',
      ],
      [
        'names another node',
        (payload) => ({ ...payload, request: { ...Object(payload['request']), node: `0x${'bb'.repeat(20)}` } }),
        'wrong_node',
      ],
      [
        'names other terms',
        (payload) => ({ ...payload, terms: { ...Object(payload['terms']), modelId: `0x${'0d'.repeat(32)}` } }),
        'offer_mismatch',
      ],
      [
        'names another payer',
        (payload) => ({ ...payload, order: { ...Object(payload['order']), payer: `0x${'bb'.repeat(20)}` } }),
        'offer_mismatch',
      ],
      ['has another signature', (payload) => ({ ...payload, signature: `0x${'11'.repeat(65)}` }), 'signature_invalid'],
    ]
    it.each(changes)('%s, runs nothing', async (_, change, error) => {
      await fetch(shop.url, asking('one'))
      const response = await resend(altered(last(), change), 'one')
      expect([response.status, errorIn(response)]).toEqual([402, error])
      expect(shop.handled).toEqual(['one'])
    })
  })

  it('does not compute for an order that cannot be opened: the payer spent the nonce meanwhile', async () => {
    const { permit2 } = shop.devnet.contracts
    const burning: typeof globalThis.fetch = async (input, init) => {
      const header = new Headers(init?.headers).get('payment-signature')
      if (header !== null) {
        const { payload } = JSON.parse(Buffer.from(header, 'base64').toString()) as PaymentPayload
        const { nonce } = parseWorkOrderPayment(payload).order
        const burn = new Contract(permit2.target, permit2.interface, shop.payer)
        await (await burn.getFunction('invalidateUnorderedNonces').send(nonce >> 8n, 1n << (nonce & 255n))).wait()
      }
      return globalThis.fetch(input, init)
    }
    const cheat = payFetch(shop.payer, shop.options({ fetch: burning }))
    expect(await errorOf(cheat(shop.url, asking('free')))).toMatchObject({ code: 'PAYMENT_REFUSED' })
    expect(shop.handled).toEqual([])
  })
})
