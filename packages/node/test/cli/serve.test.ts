import { startDevnet, type Devnet } from '@opg/devnet'
import { decodeReceiptEvent, decodeReceiptHeader, formatOpg, responseHash } from '@opg/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { speak, speakForEver, startStandInLlm, type StandInLlm } from '../standInLlm.js'
import { createNodeFiles, type NodeFiles } from './nodeFiles.js'
import { runToEnd, startCli, type RunningCli } from './testEdge.js'
import { openOrderAt, type OpenOrder } from './testPayer.js'

const OPG = 10n ** 18n
const TEXT = { model: 'languages', input: { text: 'Where is the station?' } }
const CHAT = { model: 'chat', messages: [{ role: 'user', content: 'hi' }], max_tokens: 100 }
const said: string[] = []

describe('opg-node serve', () => {
  let devnet: Devnet
  let llm: StandInLlm
  let files: NodeFiles
  let serving: RunningCli
  let url: string

  const command = async (args: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> => {
    const run = await runToEnd(args, files.environment)
    said.push(run.stdout, run.stderr)
    return run
  }
  const serve = async (): Promise<void> => {
    serving = startCli(['serve', '--json'], files.environment)
    url = ((await serving.line()) as { url: string }).url
  }
  const open = (model: string, amount = OPG, verifier = 0): Promise<OpenOrder> =>
    openOrderAt(url, { devnet, payer: devnet.wallets[2], model, amount, verifier })
  const orderOf = async (id: string): Promise<Record<string, unknown>> =>
    (await (await fetch(`${url}/v1/orders/${id}`)).json()) as Record<string, unknown>

  beforeAll(async () => {
    devnet = await startDevnet()
    llm = await startStandInLlm()
    files = await createNodeFiles(devnet, { node: devnet.wallets[1], upstreamUrl: llm.baseUrl })
    await serve()
  }, 60_000)
  afterAll(async () => {
    serving.stop()
    const { exitCode, stdout, stderr } = await serving.done
    said.push(stdout, stderr)
    await llm.close()
    await devnet.stop()
    await files.remove()
    expect(exitCode).toBe(0)
    // N8: nothing that any command ever said shows a key.
    for (const secret of files.secrets) expect(said.join('\n')).not.toContain(secret)
  })

  it('sells an ONNX inference over HTTP, with a receipt of the enclave', async () => {
    const order = await open('languages')
    const response = await order.pay('/v1/infer', TEXT)
    const body = new Uint8Array(await response.arrayBuffer())
    expect(response.status).toBe(200)
    expect(JSON.parse(Buffer.from(body).toString())).toMatchObject({ output: { language: { data: ['en'] } } })
    const { receipt, signer } = decodeReceiptHeader(response.headers.get('x-opg-receipt'))
    expect(signer.kind).toBe('rsa-pss')
    expect(receipt.responseHash).toBe(responseHash(body))
    // 0.001 OPG and 21 of a million elements at 1 OPG.
    expect(formatOpg(receipt.fee)).toBe('0.001021')
    expect(await orderOf(order.orderId)).toMatchObject({
      receiptCount: '1',
      cumulativeFee: receipt.fee.toString(),
      reserved: '0',
    })
  })

  it('gives the same answer to the same request, and bills it once', async () => {
    const order = await open('languages')
    const [first, again] = [
      await order.pay('/v1/infer', TEXT, { index: 7n }),
      await order.pay('/v1/infer', TEXT, { index: 7n }),
    ]
    expect(await again.text()).toBe(await first.text())
    expect(await orderOf(order.orderId)).toMatchObject({ receiptCount: '1' })
    const other = await order.pay('/v1/infer', { ...TEXT, input: { text: 'x' } }, { index: 7n })
    expect(other.status).toBe(409)
  })

  it('serves many requests of one order at once, and never more than it holds (N3)', async () => {
    const order = await open('languages', 10n * 2_000n * 10n ** 12n)
    const maxFee = 2_000n * 10n ** 12n
    const responses = await Promise.all(Array.from({ length: 30 }, () => order.pay('/v1/infer', TEXT, { maxFee })))
    const paid = responses.filter(({ status }) => status === 200)
    const fees = paid.map(({ headers }) => decodeReceiptHeader(headers.get('x-opg-receipt')).receipt)
    expect(responses.every(({ status }) => status === 200 || status === 402)).toBe(true)
    expect(paid.length).toBeGreaterThanOrEqual(10)
    expect(fees.map(({ seq }) => Number(seq)).sort((a, b) => a - b)).toEqual(fees.map((_, i) => i))
    const spent = fees.reduce((sum, { fee }) => sum + fee, 0n)
    expect(spent).toBeLessThanOrEqual(10n * maxFee)
    expect(await orderOf(order.orderId)).toMatchObject({ cumulativeFee: spent.toString(), reserved: '0' })
  })

  it('request signed for less than it may cost: 402 with the price', async () => {
    const order = await open('languages')
    const response = await order.pay('/v1/infer', TEXT, { maxFee: 1n })
    expect(response.status).toBe(402)
    expect(await response.json()).toMatchObject({
      error: { code: 'MAX_FEE_TOO_LOW' },
      payment: { maxFee: '1021000000000000' },
    })
  })

  it('an order for one model does not pay for another', async () => {
    const order = await open('languages')
    const response = await order.pay('/v1/chat/completions', CHAT)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: 'WRONG_MODEL' } })
  })

  it('sells a streamed chat completion of the stand-in upstream, billed by its usage', async () => {
    llm.behave(speak(['Hello', ' there'], { prompt: 5, completion: 2 }))
    const order = await open('chat', OPG, 1)
    const response = await order.pay('/v1/chat/completions', { ...CHAT, stream: true })
    const [sent = '', receipt = ''] = (await response.text()).split('event: receipt\ndata: ')
    const { receipt: signed, signer } = decodeReceiptEvent(receipt.trim())
    expect(sent).toContain('Hello')
    expect(signer.kind).toBe('ecdsa')
    expect(signed.responseHash).toBe(responseHash(Buffer.from(sent)))
    expect(formatOpg(signed.fee)).toBe('0.000109')
    const replay = await order.pay('/v1/chat/completions', { ...CHAT, stream: true }, { index: 0n })
    expect(await replay.text()).toBe(`${sent}event: receipt\ndata: ${receipt}`)
    expect(await orderOf(order.orderId)).toMatchObject({ receiptCount: '1' })
  })

  it('client aborts mid-stream: what was sent is billed, and the receipt can be fetched (F19)', async () => {
    llm.behave(speakForEver('word'))
    const order = await open('chat')
    const client = new AbortController()
    const response = await order.pay('/v1/chat/completions', { ...CHAT, stream: true }, { signal: client.signal })
    await response.body?.getReader().read()
    client.abort()
    await until(async () => (await orderOf(order.orderId))['receiptCount'] === '1')
    const page = (await (await fetch(`${url}/v1/orders/${order.orderId}/receipts`)).json()) as {
      receipts: { receipt: { fee: string } }[]
    }
    const fee = BigInt(page.receipts[0]?.receipt.fee ?? '0')
    expect(fee).toBeGreaterThan(10n ** 14n)
    expect(await orderOf(order.orderId)).toMatchObject({ cumulativeFee: fee.toString(), reserved: '0' })
  })

  it.each([
    [
      'answers with 500',
      502,
      (response: { writeHead(status: number): { end(text: string): unknown } }) =>
        void response.writeHead(500).end('no'),
    ],
    ['hangs', 504, () => undefined],
    ['sends no completion', 502, (response: { end(text: string): unknown }) => void response.end('{}')],
  ])('upstream %s: an error, no receipt, nothing held back', async (_, status, behaviour) => {
    llm.behave(behaviour)
    const order = await open('chat')
    expect((await order.pay('/v1/chat/completions', CHAT)).status).toBe(status)
    expect(await orderOf(order.orderId)).toMatchObject({ receiptCount: '0', cumulativeFee: '0', reserved: '0' })
    llm.behave(speak(['Hello'], { prompt: 1, completion: 1 }))
    expect((await order.pay('/v1/chat/completions', CHAT, { index: 0n })).status).toBe(200)
  })

  it('order that is not open on chain: not admitted, and nothing runs on it (N1)', async () => {
    const opening = openOrderAt(url, {
      devnet,
      payer: devnet.wallets[2],
      model: 'languages',
      amount: OPG,
      isOpened: false,
    })
    await expect(opening).rejects.toThrow('"code":"ORDER_NOT_OPEN"')
  })

  it('settle --dry-run shows what settle then does; status and claim work beside serve', async () => {
    const order = await open('languages')
    for (let i = 0; i < 3; i++) expect((await order.pay('/v1/infer', TEXT)).status).toBe(200)
    const before = JSON.parse((await command(['status', '--json'])).stdout) as {
      totals: { unsettled: string }
      orders: { orderId: string; unsettled: string }[]
    }
    expect(before.orders.find(({ orderId }) => orderId === order.orderId)?.unsettled).toBe(
      (3n * 1_021n * 10n ** 12n).toString(),
    )

    const plan = JSON.parse((await command(['settle', '--dry-run', '--json', '--close', order.orderId])).stdout) as {
      transactions: { settlements: { orderId: string; close: string | null }[] }[]
    }
    const planned = plan.transactions.flatMap(({ settlements }) => settlements)
    expect(planned.find(({ orderId }) => orderId === order.orderId)?.close).toBe('requested')
    expect(await orderOf(order.orderId)).toMatchObject({ chain: 'open', closing: null })

    const settled = await command(['settle', '--json', '--close', order.orderId])
    expect(settled).toMatchObject({ exitCode: 0 })
    const result = JSON.parse(settled.stdout) as {
      unsettled: string
      transactions: { state: string; settlements: unknown[] }[]
    }
    expect(result.unsettled).toBe('0')
    expect(result.transactions.every(({ state }) => state === 'confirmed')).toBe(true)
    expect(result.transactions.flatMap(({ settlements }) => settlements)).toHaveLength(planned.length)
    expect(await orderOf(order.orderId)).toMatchObject({ chain: 'closed' })
    expect((await order.pay('/v1/infer', TEXT)).status).toBe(402)

    const { token, escrow } = devnet.contracts
    const [, node] = devnet.wallets
    const credits = await escrow.credits(node.address)
    const held = await token.balanceOf(node.address)
    expect(credits).toBeGreaterThan(0n)
    const claimed = await command(['claim', '--json'])
    expect(claimed.exitCode).toBe(0)
    expect(JSON.parse(claimed.stdout)).toMatchObject({ claimed: credits.toString(), to: node.address, credits: '0' })
    expect((await token.balanceOf(node.address)) - held).toBe(credits)

    expect(JSON.parse((await command(['claim', '--json'])).stdout)).toMatchObject({ claimed: '0', transactions: [] })
    expect(JSON.parse((await command(['settle', '--json'])).stdout)).toMatchObject({ transactions: [], unsettled: '0' })
  }, 60_000)

  it('tells people in words what it tells programs in JSON', async () => {
    expect((await command(['status'])).stdout).toMatch(/Fees .* OPG, of them settled .*\nTo claim 0 OPG\n/)
    expect((await command(['settle'])).stdout).toContain('Nothing to settle.')
    expect((await command(['claim'])).stdout).toBe('Nothing to claim.\n')
  })

  it('payer asks for its rest back over HTTP: the order takes no more, and settle returns it', async () => {
    const order = await open('languages')
    await order.pay('/v1/infer', TEXT)
    const wish = await order.signedClose(Math.floor(Date.now() / 1000) + 600)
    const post = (body: unknown): Promise<Response> =>
      fetch(`${url}/v1/orders/${order.orderId}/close`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    expect((await post({ ...wish, signature: `0x${'11'.repeat(65)}` })).status).toBe(403)
    expect(await orderOf(order.orderId)).toMatchObject({ closing: null })
    expect(await (await post(wish)).json()).toEqual({ status: 'closing', orderId: order.orderId })
    expect((await order.pay('/v1/infer', TEXT)).status).toBe(402)
    expect((await command(['settle', '--json'])).exitCode).toBe(0)
    expect(await orderOf(order.orderId)).toMatchObject({ chain: 'closed' })
  })

  it('settle --close of an order that it cannot close: 4, and of no order id: 2', async () => {
    expect(await command(['settle', '--close', `0x${'12'.repeat(32)}`])).toMatchObject({ exitCode: 4 })
    const bad = await command(['settle', '--json', '--close', '0x12'])
    expect(bad.exitCode).toBe(2)
    expect(JSON.parse(bad.stderr)).toMatchObject({ error: { code: 'INVALID_INPUT' } })
    expect(bad.stderr).toContain('--close')
  })

  it('release gives an unused order back, and one with fees only where they are forgone (F6)', async () => {
    const unused = await open('languages')
    const released = await command(['release', unused.orderId, '--json'])
    expect(released).toMatchObject({ exitCode: 0 })
    expect(JSON.parse(released.stdout)).toEqual({ orderId: unused.orderId, chain: 'closed', released: '0' })
    const used = await open('languages')
    await used.pay('/v1/infer', TEXT)
    expect(await command(['release', used.orderId])).toMatchObject({ exitCode: 4 })
    expect(await orderOf(used.orderId)).toMatchObject({ chain: 'open', closing: null })
    const forgone = await command(['release', used.orderId, '--forgo-fees'])
    expect(forgone).toMatchObject({ exitCode: 0, stdout: `Released ${used.orderId}.\n` })
    expect(await orderOf(used.orderId)).toMatchObject({ chain: 'closed', released: '0' })
    expect(await command(['release', used.orderId])).toMatchObject({ exitCode: 4 }) // closed
    expect(await command(['release', `0x${'12'.repeat(32)}`])).toMatchObject({ exitCode: 4 })
    expect(await command(['release', '0x12'])).toMatchObject({ exitCode: 2 })
  })

  it('settle settles what a lost enclave signed, without its key, and can do nothing while it is not told of it', async () => {
    const order = await open('languages')
    const response = await order.pay('/v1/infer', TEXT)
    const { receipt, signer } = decodeReceiptHeader(response.headers.get('x-opg-receipt'))
    if (signer.kind !== 'rsa-pss') throw new TypeError('no enclave')
    const { OPG_NODE_TEE_KEY_FILE: _, ...rest } = files.environment
    const keyless = await runToEnd(['settle', '--json'], rest)
    expect(keyless.exitCode).toBe(4)
    const lost = { ...rest, OPG_NODE_LOST_TEE_IDS: JSON.stringify([signer.teeId]) }
    const settled = await runToEnd(['settle', '--json'], lost)
    expect(settled.exitCode).toBe(0)
    const { released, closed } = await devnet.contracts.escrow.orders(order.orderId)
    expect({ released, closed }).toEqual({ released: receipt.fee, closed: false })
    said.push(keyless.stderr, settled.stderr)
  })

  it('SIGTERM: what runs is answered, the process ends with 0, and its books are there for the next', async () => {
    let speakNow = (): void => undefined
    llm.behave(async (response, seen) => {
      await new Promise<void>((resolve) => {
        speakNow = resolve
      })
      await speak(['Hello'], { prompt: 1, completion: 1 })(response, seen)
    })
    const order = await open('chat')
    const asked = llm.seen.length
    const running = order.pay('/v1/chat/completions', CHAT)
    await until(() => Promise.resolve(llm.seen.length > asked))
    serving.stop()
    speakNow()
    const response = await running
    expect(response.status).toBe(200)
    const receipt = response.headers.get('x-opg-receipt')
    const { exitCode, stdout, stderr } = await serving.done
    said.push(stdout, stderr)
    expect(exitCode).toBe(0)
    expect(stdout.trim().split('\n').at(-1)).toBe('{"status":"stopped"}')

    await serve()
    const page = (await (await fetch(`${url}/v1/orders/${order.orderId}/receipts`)).json()) as { receipts: unknown[] }
    expect(page.receipts).toHaveLength(1)
    expect(receipt).not.toBeNull()
  })

  it('SIGTERM twice: what runs is cut off and not billed', async () => {
    llm.behave(() => undefined)
    const order = await open('chat')
    const asked = llm.seen.length
    const running = order.pay('/v1/chat/completions', CHAT).catch(() => undefined)
    await until(() => Promise.resolve(llm.seen.length > asked))
    serving.stop()
    serving.stop()
    expect((await serving.done).exitCode).toBe(0)
    await running
    await serve()
    expect(await orderOf(order.orderId)).toMatchObject({ receiptCount: '0', reserved: '0' })
  })
})

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20))
}
