import { startDevnet, type Devnet } from '@opg/devnet'
import { openOrder, readEscrow } from '@opg/payer'
import { type WorkOrderPayment, encodeReceiptEvent, requestHash } from '@opg/protocol'
import { wrapFetchWithPayment, x402Client } from '@x402/fetch'
import type { Wallet } from 'ethers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type PayingFetch, payFetch, withRequest, workOrderClient } from '../../src/index.js'
import { buyerOptions, errorOf, fundedPayer, units } from '../support/buyer.js'
import { CAP, FEE, Seller } from '../support/seller.js'
import { asking } from '../support/shop.js'

describe('payFetch', () => {
  let devnet: Devnet
  let payer: Wallet
  let seller: Seller
  let fetch: PayingFetch

  beforeAll(async () => {
    devnet = await startDevnet()
    payer = await fundedPayer(devnet)
  })
  afterAll(() => devnet.stop())
  beforeEach(async () => {
    seller = await Seller.start(devnet)
    fetch = payFetch(payer, buyerOptions(devnet))
  })
  afterEach(() => seller.stop())

  const orderIds = (): readonly string[] => [...new Set(seller.workOrders.map(({ request }) => request.orderId))]

  /** What an honest seller does with the first payment of a session. */
  const open = async (paid: WorkOrderPayment | undefined): Promise<WorkOrderPayment> => {
    if (paid?.permit === undefined) throw new TypeError('no permit')
    const { terms, order, permit } = paid
    const escrow = await readEscrow(devnet.provider, devnet.deployment.escrow)
    const opened = await openOrder(devnet.wallets[3], { escrow, terms, signed: { order, ...permit } })
    expect(opened).toMatchObject({ status: 'opened', orderId: paid.request.orderId })
    return paid
  }

  it('hands on what costs nothing', async () => {
    seller.onUnpaid = (response) => response.writeHead(200).end('free')
    const response = await fetch(seller.url)
    expect(await response.text()).toBe('free')
    expect(seller.arrived).toHaveLength(0)
    expect(await fetch.spentToday()).toBe(0n)
  })

  it('signs path and body of each request, under one order', async () => {
    for (const body of ['one', 'two', 'three']) {
      const response = await fetch(seller.url, asking(body))
      expect(await response.json()).toEqual({ echo: body })
    }
    expect(orderIds()).toHaveLength(1)
    expect(seller.workOrders.map(({ request }) => request.index)).toEqual([0n, 1n, 2n])
    seller.arrived.forEach(({ path, body }, i) => {
      expect(seller.workOrders[i]?.request).toMatchObject({ requestHash: requestHash(path, body), maxFee: CAP })
    })
    // The permit goes along until an answer shows that the seller has the order.
    expect(seller.workOrders.map(({ permit }) => permit !== undefined)).toEqual([true, false, false])
    expect(await fetch.spentToday()).toBe(1_000n)
  })

  it('signs an order that opens', async () => {
    await fetch(seller.url, asking('one'))
    const { order } = await open(seller.workOrders[0])
    expect(order.amount).toBe(1_000n)
  })

  it('opens orders itself where it is told to', async () => {
    fetch = payFetch(payer, buyerOptions(devnet, { open: true }))
    await fetch(seller.url, asking('one'))
    const [paid] = seller.workOrders
    expect(paid?.permit).toBeUndefined()
    const order = await devnet.contracts.escrow.orders(paid?.request.orderId ?? '')
    expect([order.closed, order.amount]).toEqual([false, 1_000n])
  })

  it('makes a new order when the rest cannot cover a request', async () => {
    fetch = payFetch(payer, buyerOptions(devnet, { sessionAmount: units(100n) }))
    for (let i = 0; i < 12; i++) await fetch(seller.url, asking(String(i)))
    // 100 holds requests of at most 50 until 60 is spent: six of 10.
    expect(orderIds()).toHaveLength(2)
    expect(await fetch.spentToday()).toBe(200n)
  })

  it('never commits more than an order holds, with 200 calls at once on a small budget', async () => {
    const limits = { sessionAmount: units(250n), maxPerDay: units(500n) }
    fetch = payFetch(payer, buyerOptions(devnet, limits))
    const outcomes = await Promise.allSettled(
      Array.from({ length: 200 }, (_, i) => fetch(seller.url, asking(`call ${String(i)}`))),
    )
    const paid = outcomes.filter(({ status }) => status === 'fulfilled')
    const failed = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
    for (const error of failed) expect(error).toMatchObject({ code: 'SPEND_LIMIT' })
    // Two orders of 250 each pay for 21 requests: after those, less than 50 is left.
    expect(paid).toHaveLength(42)
    expect(orderIds()).toHaveLength(2)
    // By the order in which they were signed, what an order owes and may owe never exceeds it.
    for (const orderId of orderIds()) {
      const requests = seller.workOrders.filter(({ request }) => request.orderId === orderId)
      expect(BigInt(requests.length - 1) * FEE + CAP).toBeLessThanOrEqual(250n)
    }
    expect(await fetch.spentToday()).toBe(500n)
  })

  it('sends the same payment again where the connection breaks, and pays once', async () => {
    seller.attack = (answer, { response, attempt }) => {
      if (attempt < 3) {
        response.destroy()
        return undefined
      }
      return answer
    }
    const response = await fetch(seller.url, asking('once'))
    expect(await response.json()).toEqual({ echo: 'once' })
    expect(seller.arrived).toHaveLength(3)
    expect(seller.payments).toHaveLength(1)
  })

  it('says that it cannot know, where no answer comes at all', async () => {
    seller.attack = (_, { response }) => {
      response.destroy()
      return undefined
    }
    expect(await errorOf(fetch(seller.url, asking('lost')))).toMatchObject({ code: 'PAYMENT_UNCERTAIN' })
    expect(seller.payments).toHaveLength(1)
  })

  it('sends the same payment again where the same call is made again, as clients do that retry by themselves', async () => {
    let deaf = true
    seller.attack = (answer, { response }) => {
      if (!deaf) return answer
      response.destroy()
      return undefined
    }
    for (let retry = 0; retry < 3; retry++) {
      expect(await errorOf(fetch(seller.url, asking('lost')))).toMatchObject({ code: 'PAYMENT_UNCERTAIN' })
    }
    deaf = false
    expect(await (await fetch(seller.url, asking('other'))).json()).toEqual({ echo: 'other' })
    expect(await (await fetch(seller.url, asking('lost'))).json()).toEqual({ echo: 'lost' })
    expect(seller.payments).toHaveLength(2)
    expect(await (await fetch(seller.url, asking('lost'))).json()).toEqual({ echo: 'lost' })
    expect(seller.payments).toHaveLength(3) // the one before was answered
  })

  it('sends the same payment again after a call that its caller gave up', async () => {
    const stop = new AbortController()
    seller.attack = () => {
      stop.abort(new TypeError('late'))
      return undefined
    }
    expect(await errorOf(fetch(seller.url, asking('x', { signal: stop.signal })))).toMatchObject({ message: 'late' })
    seller.attack = (answer) => answer
    expect(await (await fetch(seller.url, asking('x'))).json()).toEqual({ echo: 'x' })
    expect(seller.payments).toHaveLength(1)
  })

  it('is over once it is closed, and says so', async () => {
    await fetch.close()
    const closed = { code: 'CLOSED' }
    expect(await errorOf(fetch(seller.url, asking('x')))).toMatchObject(closed)
    for (const call of [fetch.spentToday(), fetch.reclaim(), fetch.close()]) {
      expect(await errorOf(call)).toMatchObject(closed)
    }
  })

  it('stops when the caller does, before and after it paid', async () => {
    const early = AbortSignal.abort(new TypeError('early'))
    expect(await errorOf(fetch(seller.url, asking('x', { signal: early })))).toMatchObject({ message: 'early' })
    expect(seller.arrived).toHaveLength(0)
    const stop = new AbortController()
    seller.attack = () => {
      stop.abort(new TypeError('late'))
      return undefined
    }
    expect(await errorOf(fetch(seller.url, asking('x', { signal: stop.signal })))).toMatchObject({ message: 'late' })
    expect(seller.arrived).toHaveLength(1)
  })

  it('hands a stream on piece by piece, without its receipt', async () => {
    seller.isStream = true
    let end = (): void => undefined
    seller.attack = (answer, { response }) => {
      const [first = '', ...rest] = answer.body.toString().split(/(?<=\n\n)/)
      response.writeHead(200, answer.headers)
      response.write(first)
      end = () => {
        response.write(rest.join(''))
        response.end(answer.receipt === undefined ? '' : encodeReceiptEvent(answer.receipt))
      }
      return undefined
    }
    const response = await fetch(seller.url, asking('token'))
    const pieces: string[] = []
    for await (const piece of response.body ?? []) {
      pieces.push(Buffer.from(piece).toString())
      if (pieces.join('') === 'data: token\n\n') end() // not before: the seller still holds the rest
    }
    expect(pieces.join('')).toBe('data: token\n\ndata: [DONE]\n\n')
  })

  it('counts only what the chain shows was spent, once a limit is in the way', async () => {
    const limits = { sessionAmount: units(100n), maxPerDay: units(100n) }
    fetch = payFetch(payer, buyerOptions(devnet, limits))
    for (let i = 0; i < 6; i++) await fetch(seller.url, asking(String(i)))
    expect(await errorOf(fetch(seller.url, asking('7')))).toMatchObject({ code: 'SPEND_LIMIT', limit: 'day' })
    const { terms, order } = await open(seller.workOrders[0])
    const { escrow } = devnet.contracts
    await (await escrow.connect(devnet.wallets[1]).release(terms, order)).wait()
    await fetch(seller.url, asking('8'))
    expect(await fetch.spentToday()).toBe(100n)
  })

  it('reclaims what expired orders still hold', async () => {
    let now = Date.now()
    fetch = payFetch(payer, buyerOptions(devnet, { clock: () => now }))
    await fetch(seller.url, asking('one'))
    const { order } = await open(seller.workOrders[0])
    const id = await devnet.snapshot()
    expect(await fetch.reclaim()).toEqual([])
    const before = await devnet.contracts.token.balanceOf(payer.address)
    const seconds = order.claimBy - (await devnet.now())
    await devnet.increaseTime(seconds)
    now += seconds * 1_000 + 2_000
    expect(await fetch.reclaim()).toMatchObject([{ status: 'reclaimed' }])
    expect(await devnet.contracts.token.balanceOf(payer.address)).toBe(before + order.amount)
    await devnet.revert(id)
  })

  it('pays upto where that is all there is', async () => {
    seller.scheme = 'upto'
    const response = await fetch(seller.url, asking('single'))
    expect(await response.json()).toEqual({ echo: 'single' })
    expect(await fetch.spentToday()).toBe(CAP)
    await fetch(seller.url, asking('another'))
    expect(seller.payments).toHaveLength(2)
  })

  it('refuses an account without money or approval before it signs', async () => {
    const poor = payFetch(devnet.wallets[7], buyerOptions(devnet))
    expect(await errorOf(poor(seller.url, asking('x')))).toMatchObject({ code: 'FUNDS_MISSING', missing: 'balance' })
    await devnet.mint(devnet.wallets[8].address, 10_000n)
    const shy = payFetch(devnet.wallets[8], buyerOptions(devnet))
    expect(await errorOf(shy(seller.url, asking('x')))).toMatchObject({ code: 'FUNDS_MISSING', missing: 'allowance' })
    expect(seller.arrived).toHaveLength(0)
    const bold = payFetch(devnet.wallets[8], buyerOptions(devnet, { approve: true }))
    expect((await bold(seller.url, asking('x'))).status).toBe(200)
  })

  describe('work-order in a stock client', () => {
    const stock = (): x402Client => {
      const client = new x402Client().register('eip155:*', workOrderClient(payer, buyerOptions(devnet)))
      const { token } = devnet.deployment
      client.setSpendControls({
        allowedAssets: [{ network: 'eip155:31337', asset: token, maxAmountPerPayment: '100' }],
      })
      return client
    }

    it('pays once it is told of the request', async () => {
      const paying = withRequest(wrapFetchWithPayment(globalThis.fetch, stock()))
      const response = await paying(seller.url, asking('stock'))
      expect(await response.json()).toEqual({ echo: 'stock' })
    })

    it('refuses clearly where it is not', async () => {
      const paying = wrapFetchWithPayment(globalThis.fetch, stock())
      expect(String(await errorOf(paying(seller.url, asking('stock'))))).toMatch(/withRequest/)
      expect(seller.arrived).toHaveLength(0)
    })
  })
})
