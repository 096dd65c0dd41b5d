import { parseOpg } from '@opg/protocol'
import { decodePaymentRequiredHeader, encodePaymentRequiredHeader } from '@x402/core/http'
import type { Wallet } from 'ethers'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type KillableNode, createKillableNode } from '../../../node/test/e2e/killableNode.js'
import { CHAT, type Shop, TEXT, openShop, until } from '../../../node/test/x402/shop.js'
import { type PayFetchOptions, payFetch } from '../../src/index.js'
import { asking } from '../support/shop.js'

/** Each with its real parts: opg-node and opg-facilitator in processes of their own, a chain, HTTP between them. */
describe('payFetch at a node with its facilitator', () => {
  let shop: Shop
  let node: KillableNode
  let payer: Wallet

  beforeAll(async () => {
    shop = await openShop()
    node = await createKillableNode(shop.environment)
    await node.start()
  })
  afterAll(async () => {
    await node.stop()
    await shop.stop()
  })
  beforeEach(async () => {
    payer = await shop.payer()
  })

  const options = (overrides: Partial<PayFetchOptions> = {}): PayFetchOptions => ({
    rpcUrl: shop.devnet.rpcUrl,
    escrow: shop.devnet.deployment.escrow,
    maxPerDay: '0.5',
    sessionAmount: '0.1',
    ...overrides,
  })
  const infer = asking(JSON.stringify(TEXT))

  it('buys many answers at once under one order, and gets the rest back when it is done', async () => {
    const fetch = payFetch(payer, options())
    const before = await shop.balance(payer.address)
    const calls = shop.facilitator.calls
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${node.url}/v1/infer`, infer)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(shop.facilitator.calls).toBe(calls + 1)
    const [orderId, ...others] = await shop.ordersOf(payer.address)
    expect(others).toEqual([])
    expect(await fetch.close()).toMatchObject([{ orderId, status: 'closing' }])
    await until(() => shop.isClosed(orderId))
    const spent = before - (await shop.balance(payer.address))
    // 20 requests at 0.001 OPG and a fee by token.
    expect(spent).toBeGreaterThanOrEqual(20n * parseOpg('0.001'))
    expect(spent).toBeLessThan(parseOpg('0.03'))
  })

  it('streams token by token', async () => {
    let goOn = (): void => undefined
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    shop.llm.behave(async (response) => {
      const chunk = (content: string): string => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(chunk('first'))
      await held
      response.write(chunk('second'))
      const usage = { prompt_tokens: 5, completion_tokens: 2 }
      response.end(`data: ${JSON.stringify({ choices: [], usage })}\n\ndata: [DONE]\n\n`)
    })
    const fetch = payFetch(payer, options())
    const response = await fetch(`${node.url}/v1/chat/completions`, asking(JSON.stringify({ ...CHAT, stream: true })))
    expect(response.status).toBe(200)
    let text = ''
    for await (const piece of response.body ?? []) {
      text += Buffer.from(piece).toString()
      if (text.includes('first')) goOn() // the model waits until its first token is here
    }
    expect(text).toContain('second')
    expect(text).not.toContain('event: receipt')
  })

  it('pays upto, one order for one request, where sessions are not on offer', async () => {
    const withoutSessions: typeof globalThis.fetch = async (input, init) => {
      const response = await globalThis.fetch(input, init)
      const header = response.headers.get('payment-required')
      if (header === null) return response
      const required = decodePaymentRequiredHeader(header)
      const accepts = required.accepts.filter(({ scheme }) => scheme === 'upto')
      const headers = { 'payment-required': encodePaymentRequiredHeader({ ...required, accepts }) }
      return new Response('{}', { status: response.status, headers })
    }
    const fetch = payFetch(payer, options({ fetch: withoutSessions }))
    const before = await shop.balance(payer.address)
    const answers = [await fetch(`${node.url}/v1/infer`, infer), await fetch(`${node.url}/v1/infer`, infer)]
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    const orders = await shop.ordersOf(payer.address)
    expect(orders).toHaveLength(2)
    for (const orderId of orders) await until(() => shop.isClosed(orderId))
    const spent = before - (await shop.balance(payer.address))
    expect(spent).toBeGreaterThanOrEqual(2n * parseOpg('0.001'))
    expect(spent).toBeLessThan(parseOpg('0.003'))
  })

  it('gets the stored answer, charged once, when the node is killed after it answered', async () => {
    let killed = false
    const killing: typeof globalThis.fetch = async (input, init) => {
      const response = await globalThis.fetch(input, init)
      const isPaid = new Headers(init?.headers).has('payment-signature')
      if (!isPaid || killed || !response.ok) return response
      killed = true
      await node.kill()
      await node.start()
      throw new TypeError('the answer is lost')
    }
    const fetch = payFetch(payer, options({ fetch: killing }))
    const response = await fetch(`${node.url}/v1/infer`, infer)
    expect([response.status, killed]).toEqual([200, true])
    await fetch.close()
    const [orderId, ...others] = await shop.ordersOf(payer.address)
    expect(others).toEqual([])
    await until(() => shop.isClosed(orderId))
    expect(parseOpg('1') - (await shop.balance(payer.address))).toBeLessThan(parseOpg('0.002'))
  })

  it('waits for a facilitator that is away, and pays once', async () => {
    shop.facilitator.mood = 'down'
    let refused = 0
    const noting: typeof globalThis.fetch = async (input, init) => {
      const response = await globalThis.fetch(input, init)
      if (response.status === 503 && ++refused === 2) shop.facilitator.mood = 'well'
      return response
    }
    const fetch = payFetch(payer, options({ fetch: noting, attempts: 6 }))
    expect((await fetch(`${node.url}/v1/infer`, infer)).status).toBe(200)
    expect(await shop.ordersOf(payer.address)).toHaveLength(1)
  })
})
