import { decodeReceiptHeader, parseSettledExtra } from '@opg/protocol'
import type { PaymentPayload } from '@x402/core/types'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Wallet } from 'ethers'
import { startCli } from '../cli/testEdge.js'
import { createKillableNode, type KillableNode } from '../e2e/killableNode.js'
import { speak } from '../standInLlm.js'
import { CHAT, OPG, openShop, until, type Shop } from './shop.js'
import { pay, settledOf, signPayment, verdict } from './stockClient.js'

/** Later than any authorization of these tests is good. */
const LATER_MS = 1_200_000

async function booksOf(url: string, orderId: string): Promise<{ readonly receiptCount?: string }> {
  return (await (await fetch(`${url}/v1/orders/${orderId}`)).json()) as { readonly receiptCount?: string }
}

describe('a node that is killed with SIGKILL', () => {
  let shop: Shop
  let node: KillableNode
  let chat: string
  let payer: Wallet
  let payment: PaymentPayload

  beforeAll(async () => {
    shop = await openShop()
  }, 120_000)
  afterAll(() => shop.stop())
  beforeEach(async () => {
    shop.facilitator.beforeAnswer = undefined
    shop.llm.behave(speak(['Hello'], { prompt: 5, completion: 2 }))
    shop.llm.seen.length = 0
    node = await createKillableNode(shop.environment)
    await node.start()
    chat = `${node.url}/v1/chat/completions`
    payer = await shop.payer()
    payment = await signPayment(payer, chat, CHAT)
  })
  afterEach(async () => {
    await node.kill()
    for (const secret of shop.files.secrets) expect(node.output()).not.toContain(secret) // (N8)
  })

  const killAt: Readonly<Record<string, () => Promise<void>>> = {
    'between the lock and the reservation': async () => {
      shop.facilitator.beforeAnswer = () => node.kill()
      await pay(chat, CHAT, payment).catch(() => undefined)
      shop.facilitator.beforeAnswer = undefined
    },
    'while it computes': async () => {
      shop.llm.behave(() => undefined)
      const paid = pay(chat, CHAT, payment).catch(() => undefined)
      await until(() => shop.llm.seen.length > 0)
      await node.kill()
      await paid
      shop.llm.behave(speak(['Hello'], { prompt: 5, completion: 2 }))
    },
  }

  /** Sends the same header again until it is settled whether it is served. */
  async function payAgain(): Promise<Response> {
    for (;;) {
      const response = await pay(chat, CHAT, payment)
      if (response.status !== 409) return response
      expect(await verdict(response)).toBe('409 IN_PROGRESS') // until the lease of the dead process ends
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  it.each(Object.keys(killAt))('%s: the same header gets its answer later, and is charged once', async (at) => {
    await killAt[at]?.()
    expect(await shop.balance(payer.address)).toBeLessThan(OPG) // the money is locked
    await node.start()
    const response = await payAgain()
    expect(response.status).toBe(200)
    const { fee, orderId } = decodeReceiptHeader(response.headers.get('x-opg-receipt')).receipt
    await until(() => shop.isClosed(orderId))
    expect(await shop.balance(payer.address)).toBe(OPG - fee)
  })

  it.each(Object.keys(killAt))('%s, and the client never comes back: all of its money does, by itself', async (at) => {
    await killAt[at]?.()
    expect(await shop.balance(payer.address)).toBeLessThan(OPG)
    const later = startCli(['serve', '--json'], shop.environment, { clock: () => Date.now() + LATER_MS })
    await until(async () => (await shop.balance(payer.address)) === OPG)
    later.stop()
    await later.done
  })

  it('after the receipt and before the client has the answer: the same header gets it, and is charged once', async () => {
    const gone = new AbortController()
    shop.llm.behave(async (response, seen) => {
      gone.abort()
      await speak(['Hello'], { prompt: 5, completion: 2 })(response, seen)
    })
    await expect(pay(chat, CHAT, payment, { signal: gone.signal })).rejects.toThrow()
    // It says so once the receipt is durable.
    const [orderId] = await shop.ordersOf(payer.address)
    await until(async () => (await booksOf(node.url, orderId)).receiptCount === '1')
    await node.kill()
    await node.start()
    const response = await payAgain()
    const { fee } = decodeReceiptHeader(response.headers.get('x-opg-receipt')).receipt
    expect(shop.llm.seen).toHaveLength(1)
    await until(() => shop.isClosed(orderId))
    expect(await shop.balance(payer.address)).toBe(OPG - fee)
  })
})

describe('a reorg that takes the lock after compute began', () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await openShop()
  }, 120_000)
  afterAll(() => shop.stop())

  it.each(['served', 'failed'])(
    'the lock comes back, and ends as it would have, where the work was %s (N5)',
    async (outcome) => {
      const serving = startCli(['serve', '--json'], shop.environment)
      const { url } = (await serving.line()) as { url: string }
      const chat = `${url}/v1/chat/completions`
      const payer = await shop.payer()
      const payment = await signPayment(payer, chat, CHAT)
      shop.llm.behave(async (response, seen) => {
        await shop.devnet.reorg(1)
        expect(await shop.balance(payer.address)).toBe(OPG)
        if (outcome === 'failed') response.writeHead(500).end()
        else await speak(['Hello'], { prompt: 5, completion: 2 })(response, seen)
      })
      const response = await pay(chat, CHAT, payment)
      expect(response.status).toBe(outcome === 'failed' ? 502 : 200)
      const { extra, amount = '' } = settledOf(response)
      await until(() => shop.isClosed(parseSettledExtra((extra ?? {})['opg']).orderId))
      expect(amount === '0').toBe(outcome === 'failed')
      expect(await shop.balance(payer.address)).toBe(OPG - BigInt(amount))
      serving.stop()
      await serving.done
    },
  )
})
