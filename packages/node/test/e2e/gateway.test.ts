import { startDevnet, type Devnet } from '@opg/devnet'
import { askGateway, fetchSettlements, type PreparedOrder } from '@opg/payer'
import { gatewayInputHash, gatewayLeaf, gatewayOutputHash, requestHash, toWire, type Hex } from '@opg/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { runToEnd, startCli, type RunningCli } from '../cli/testEdge.js'
import { speakAsGateway, type GatewayScript } from '../standInGateway.js'
import { CHAT, GATEWAY_MODEL, PRICE, createGatewayMarket, type GatewayMarket } from './gatewayMarket.js'
import { createKillableNode } from './killableNode.js'

const QUESTION = {
  model: GATEWAY_MODEL,
  messages: [{ role: 'user', content: 'Wer zahlt, José?' }],
  max_tokens: 100,
  temperature: 0.7,
}
const TEXT = 'Der Schlüssel zahlt.'

describe('an order for one answer of an OpenGradient gateway', () => {
  let devnet: Devnet
  let market: GatewayMarket
  let serving: RunningCli
  let url: string

  beforeAll(async () => {
    devnet = await startDevnet()
    market = await createGatewayMarket(devnet)
    serving = startCli(['serve', '--json'], market.environment)
    url = ((await serving.line()) as { url: string }).url
  })
  afterAll(async () => {
    serving.stop()
    expect((await serving.done).exitCode).toBe(0)
    await market.remove()
    await devnet.stop()
  })
  beforeEach(() => {
    speak({ text: TEXT })
  })

  function speak(script: GatewayScript, by = market.gateway): void {
    market.upstream.behave(speakAsGateway(by, script))
  }
  const timesAsked = (): number => market.upstream.seen.length
  const settle = async (environment = market.environment): Promise<void> => {
    expect(await runToEnd(['settle', '--json'], environment)).toMatchObject({ exitCode: 0 })
  }
  const settlementsOf = ({ orderId }: PreparedOrder) =>
    fetchSettlements(devnet.provider, { escrow: market.escrow, orderId, fromBlock: 0 })
  const booksOf = async ({ orderId }: PreparedOrder): Promise<unknown> =>
    (await fetch(`${url}/v1/orders/${orderId}`)).json()
  const openedAt = async ({ orderId }: PreparedOrder): Promise<number> =>
    Number((await devnet.contracts.escrow.orders(orderId)).openedAt)
  /** Asks as a payer should. */
  async function ask({ work, request }: Awaited<ReturnType<GatewayMarket['open']>>, at = url) {
    const session = await market.session(at, work)
    return { session, answer: await askGateway(session, { request, key: market.key }) }
  }
  /** Asks as a payer may who wants to cheat, and says what came. */
  async function askRaw(
    work: PreparedOrder,
    { body, ...input }: Omit<Parameters<GatewayMarket['ask']>[2], 'body'> & { readonly body: unknown },
  ): Promise<string> {
    await market.session(url, work)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const response = await market.ask(url, work, { ...input, body: text })
    const json = (await response.json()) as { readonly error?: { readonly code: string } }
    return `${String(response.status)} ${json.error?.code ?? 'answered'}`
  }

  it('is locked, asked, proved by the gateway’s own signature, and paid at its fixed price', async () => {
    const order = await market.open(QUESTION)
    const { session, answer } = await ask(order)
    if (answer.status === 'refused') throw new TypeError(answer.detail)
    expect(answer).toMatchObject({ text: TEXT, gatewayReceipt: { outputHash: gatewayOutputHash(TEXT) } })
    expect(answer.receipt).toMatchObject({ receipt: { fee: PRICE, seq: 0n }, signer: { kind: 'ecdsa' } })
    expect(market.upstream.seen.at(-1)?.body).toEqual(order.request)
    expect(await booksOf(order.work)).toMatchObject({ receiptsRoot: answer.leaf, cumulativeFee: PRICE.toString() })

    const credit = await devnet.contracts.escrow.credits(market.node.address)
    await settle()
    const [settlement] = await settlementsOf(order.work)
    expect(settlement).toMatchObject({ cumulativeFee: PRICE, receiptCount: 1n, receiptsRoot: answer.leaf, refund: 0n })
    expect(session.book.audit()).toMatchObject({ receipts: 1, spent: PRICE, frauds: [], open: [] })
    if (settlement !== undefined) expect(session.book.checkSettlement(settlement)).toEqual({ status: 'consistent' })
    // The network's share is 500 basis points.
    expect((await devnet.contracts.escrow.credits(market.node.address)) - credit).toBe((PRICE * 9_500n) / 10_000n)
  })

  it('is settled in one batch with others of its gateway', async () => {
    const orders = [await market.open(QUESTION), await market.open(QUESTION), await market.open(QUESTION)]
    for (const order of orders) expect((await ask(order)).answer.status).toBe('answered')
    await settle()
    const settled = await Promise.all(orders.map(({ work }) => settlementsOf(work)))
    expect(settled.map(({ length }) => length)).toEqual([1, 1, 1])
    expect(new Set(settled.flat().map(({ transactionHash }) => transactionHash)).size).toBe(1)
  })

  it('a bystander settles it first with the public receipt: the node is paid, and goes on with the others', async () => {
    const [first, second] = [await market.open(QUESTION), await market.open(QUESTION)]
    const { answer } = await ask(first)
    if (answer.status === 'refused') throw new TypeError(answer.detail)
    await ask(second)
    const { outputHash, timestamp } = answer.gatewayReceipt
    const { tee_signature: signature } = JSON.parse(Buffer.from(answer.body).toString()) as { tee_signature: string }
    const [time, proof] = [timestamp.toString(16).padStart(10, '0'), Buffer.from(signature, 'base64').toString('hex')]
    const row = { cumulativeFee: PRICE, receiptsRoot: answer.leaf, receiptCount: 1n, close: true }
    const rows = [{ order: first.work.order, ...row }]
    const bystander = devnet.contracts.escrow.connect(devnet.wallets[5])
    await (await bystander.settle(market.terms, rows, `${outputHash}${time}${proof}`)).wait()
    await settle()
    expect(await settlementsOf(first.work)).toHaveLength(1)
    expect(await settlementsOf(second.work)).toHaveLength(1)
    expect(await booksOf(first.work)).toMatchObject({ chain: 'closed' })
  })

  it('the same request is sent again: the stored answer, asked once and paid once', async () => {
    const { work, request } = await market.open(QUESTION)
    const before = timesAsked()
    expect(await askRaw(work, { body: request })).toBe('200 answered')
    expect(await askRaw(work, { body: request })).toBe('200 answered')
    expect(await askRaw(work, { body: request, index: 1n })).toBe('402 ORDER_EXHAUSTED')
    await settle()
    expect(await (await market.ask(url, work, { body: JSON.stringify(request) })).json()).toMatchObject({
      tee_id: market.gateway.teeId,
    })
    expect(timesAsked()).toBe(before + 1)
    expect(await settlementsOf(work)).toHaveLength(1)
  })

  it('the request is written in another way than it is hashed: the gateway gets what is hashed', async () => {
    const warm = { ...QUESTION, temperature: 1 }
    const { work, request } = await market.open(warm)
    const body = JSON.stringify(request, undefined, 2).replace('"temperature": 1', '"temperature": 1.00')
    expect(body).toContain('1.00')
    expect(await askRaw(work, { body })).toBe('200 answered')
    expect(market.upstream.seen.at(-1)?.text).toContain('"temperature": 1.0}')
  })

  describe('before the gateway is asked', () => {
    let before: number
    beforeEach(() => {
      before = timesAsked()
    })
    /** Opens an order that pins `hash`, and asks under it. */
    const askPinned = async (hash: Hex, body: unknown): Promise<string> =>
      askRaw(await market.openPinned(hash), { body })

    it('an order pins the request of another order, so that one receipt would pay both: refused', async () => {
      const { request } = await market.open(QUESTION)
      expect(await askPinned(gatewayInputHash(request), request)).toBe('400 REFERENCE_WRONG')
      expect(timesAsked()).toBe(before)
    })

    it('a request without a reference, whose receipt pays every order that pins it: refused', async () => {
      expect(await askPinned(gatewayInputHash(QUESTION), QUESTION)).toBe('400 REFERENCE_WRONG')
      expect(timesAsked()).toBe(before)
    })

    it('the payer sends another body than it signed, or signs another than the order pins: refused', async () => {
      const { work, request } = await market.open(QUESTION)
      const other = JSON.stringify({ ...request, max_tokens: 101 })
      expect(await askRaw(work, { body: request, sent: other })).toBe('400 REQUEST_HASH_MISMATCH')
      expect(await askRaw(work, { body: other })).toBe('400 REQUEST_NOT_PINNED')
      expect(timesAsked()).toBe(before)
    })

    it('the order pins the bytes, as under other verifiers: refused, since no gateway signs those', async () => {
      const body = JSON.stringify(QUESTION)
      expect(await askPinned(requestHash(CHAT, Buffer.from(body)), body)).toBe('400 REQUEST_NOT_PINNED')
      expect(timesAsked()).toBe(before)
    })

    it('the request offers less than the order holds, and no receipt proves a part: refused', async () => {
      const { work, request } = await market.open(QUESTION)
      expect(await askRaw(work, { body: request, maxFee: PRICE - 1n })).toBe('402 MAX_FEE_TOO_LOW')
      expect(timesAsked()).toBe(before)
    })

    it.each<readonly [string, object]>([
      ['a stream, which its client could leave before the signature', { stream: true }],
      ['two answers, of which one is signed', { n: 2 }],
      ['a bound that a gateway does not know', { max_tokens: undefined, max_completion_tokens: 100 }],
      ['no bound, where the node has a default that the order does not hash', { max_tokens: undefined }],
      ['what not all gateways hash, so that the node would be paid by some only', { seed: 1 }],
    ])('%s: refused', async (_, change) => {
      const { request } = await market.open(QUESTION)
      const body = { ...request, ...change }
      expect(await askPinned(gatewayInputHash(request), body)).toBe('400 INVALID_INPUT')
      expect(timesAsked()).toBe(before)
    })

    it('an order for a session, which no gateway’s receipt settles: refused at once', async () => {
      await expect(market.session(url, await market.openPinned(undefined))).rejects.toThrow('ORDER_NOT_SINGLE')
    })

    it('the registry has disabled the gateway since, so that nothing would be paid: refused', async () => {
      const { work, request } = await market.open(QUESTION)
      const { teeRegistry } = devnet.contracts
      await (await teeRegistry.disableTEE(market.gateway.teeId)).wait()
      const refused = await askRaw(work, { body: request })
      await (await teeRegistry.enableTEE(market.gateway.teeId)).wait()
      expect(refused).toBe('400 WRONG_EVIDENCE_KEY')
      expect(timesAsked()).toBe(before)
    })
  })

  describe('after the gateway answered', () => {
    const soon = (seconds: number): number => Math.floor(Date.now() / 1_000) + seconds

    async function expectGivenBack(order: Awaited<ReturnType<GatewayMarket['open']>>): Promise<void> {
      const { orderId } = order.work
      const { escrow, token } = devnet.contracts
      const asked = timesAsked()
      const before = await token.balanceOf(market.payer.address)
      expect((await ask(order)).answer).toMatchObject({ status: 'refused', reason: 'ANSWER_UNPROVED' })
      // Not again and again, at the node's cost.
      expect(await askRaw(order.work, { body: order.request }).catch(String)).toContain('ORDER_CLOSING')
      expect(timesAsked()).toBe(asked + 1)
      expect(await booksOf(order.work)).toMatchObject({ receiptCount: '0', reserved: '0', closing: 'failed' })
      await settle()
      expect((await escrow.orders(orderId)).closed).toBe(true)
      expect(await settlementsOf(order.work)).toEqual([])
      expect((await token.balanceOf(market.payer.address)) - before).toBe(PRICE)
    }

    it.each<readonly [string, (opened: number) => GatewayScript]>([
      ['another text than it signed', () => ({ text: 'Der Käufer zahlt.', signedText: TEXT })],
      ['a request that it hashed in another way', () => ({ text: TEXT, hashed: (r) => r.replace('0.7', '0.70') })],
      ['an answer of long ago', (opened) => ({ text: TEXT, timestamp: opened - 61 })],
      ['an answer of the future', () => ({ text: TEXT, timestamp: soon(120) })],
      ['another time than it signed', () => ({ text: TEXT, changes: { tee_timestamp: soon(5) } })],
      ['no signature', () => ({ text: TEXT, changes: { tee_signature: undefined } })],
      ['a signature of no key', () => ({ text: TEXT, changes: { tee_signature: 'AAAA' } })],
    ])('%s: nothing is billed, and the payer has its money back', async (_, script) => {
      const order = await market.open(QUESTION)
      speak(script(await openedAt(order.work)))
      await expectGivenBack(order)
    })

    it('a signature of another gateway, which is enabled too: nothing is billed', async () => {
      speak({ text: TEXT }, market.otherGateway)
      await expectGivenBack(await market.open(QUESTION))
    })

    it('the receipt of one order is offered for a second one: it proves nothing there', async () => {
      expect((await ask(await market.open(QUESTION))).answer.status).toBe('answered')
      const first = market.upstream.seen.at(-1)?.text ?? ''
      speak({ text: TEXT, hashed: () => first })
      await expectGivenBack(await market.open(QUESTION))
    })

    it('a clock that is a minute behind the opening is taken, here and on chain', async () => {
      const order = await market.open(QUESTION)
      const timestamp = (await openedAt(order.work)) - 60
      speak({ text: TEXT, timestamp })
      expect((await ask(order)).answer.status).toBe('answered')
      await settle()
      const { requestHash: inputHash } = order.work.order.job
      const receiptsRoot = gatewayLeaf({ inputHash, outputHash: gatewayOutputHash(TEXT), timestamp })
      expect(await settlementsOf(order.work)).toMatchObject([{ receiptsRoot }])
    })

    it('an upstream that fails bills nothing, and the same request may be sent again', async () => {
      const { work, request } = await market.open(QUESTION)
      market.upstream.behave((response) => {
        response.statusCode = 500
        response.end()
      })
      expect(await askRaw(work, { body: request })).toBe('502 UPSTREAM_REFUSED')
      speak({ text: TEXT })
      expect(await askRaw(work, { body: request })).toBe('200 answered')
    })
  })

  it('a node that was killed once it had answered settles with the stored receipt', async () => {
    const environment = { ...market.environment, OPG_NODE_DB: `${market.environment['OPG_NODE_DB'] ?? ''}.killed` }
    const node = await createKillableNode(environment)
    await node.start()
    const order = await market.open(QUESTION)
    const { answer } = await ask(order, node.url)
    await node.kill()
    if (answer.status === 'refused') throw new TypeError(answer.detail)
    await settle(environment)
    const settled = toWire(await settlementsOf(order.work))
    expect(settled).toMatchObject([{ receiptsRoot: answer.leaf, cumulativeFee: PRICE.toString() }])
  })
})
