import { startDevnet, type Devnet } from '@opg/devnet'
import {
  approvePermit2,
  createWorkOrder,
  nextPermit2Nonce,
  openOrder,
  signWorkOrder,
  type PreparedOrder,
} from '@opg/payer'
import { requestHash, type Address, type Hex } from '@opg/protocol'
import type { Wallet } from 'ethers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkSettled, receiptsAt } from './checkBooks.js'
import { createKillableNode, runCommand, type KillableNode } from './killableNode.js'
import { MODEL, createMarket, openSession, type Market } from './market.js'

const OPG = 10n ** 18n
const FUNDS = 10n * OPG
const ROYALTY_BPS = 300n
const FACILITATOR_BPS = 150n
const NETWORK_BPS = 500n
const BODY = new TextEncoder().encode(JSON.stringify({ model: MODEL, input: { text: 'Dónde está la estación' } }))

describe.each(['tee', 'key'] as const)('one signature to a paid node, with %s evidence', (judge) => {
  let devnet: Devnet
  let market: Market
  let node: KillableNode
  let payer: Wallet
  let signatures = 0

  beforeAll(async () => {
    devnet = await startDevnet()
    // Settling is left to the command, so that nothing is signed but the order.
    const created = await createMarket(devnet)
    market = { ...created, environment: { ...created.environment, OPG_NODE_SETTLE_INTERVAL_SECONDS: '3600' } }
    const { modelRegistry } = devnet.contracts
    const [, , , modelOwner, , fifth] = devnet.wallets
    const { modelId } = market.terms(judge)
    await (await modelRegistry.connect(market.node).register(MODEL, ROYALTY_BPS)).wait()
    await (await modelRegistry.connect(market.node).offer(modelId, modelOwner.address)).wait()
    await (await modelRegistry.connect(modelOwner).accept(modelId)).wait()
    payer = fifth
    const sign = payer.signTypedData.bind(payer)
    payer.signTypedData = (...message) => {
      signatures += 1
      return sign(...message)
    }
    await devnet.mint(payer.address, FUNDS)
    await approvePermit2(payer, { token: market.escrow.token })
    node = await createKillableNode(market.environment)
    await node.start()
  })
  afterAll(async () => {
    await node.kill()
    await market.remove()
    await devnet.stop()
  })

  /** The payer signs, the facilitator opens. @param hash of the one request that is paid for, if it is one */
  async function open(agent: Wallet, hash?: Hex): Promise<PreparedOrder> {
    const [escrow, terms, now] = [market.escrow, market.terms(judge), await devnet.now()]
    const prepared = createWorkOrder({
      escrow,
      terms,
      payer: payer.address as Address,
      requester: agent.address as Address,
      amount: OPG,
      nonce: await nextPermit2Nonce(devnet.provider, { payer: payer.address as Address }),
      claimBy: now + 86_400,
      now,
      ...(hash === undefined ? {} : { requestHash: hash }),
    })
    const opening = await openOrder(market.facilitator, { escrow, terms, signed: await signWorkOrder(payer, prepared) })
    expect(opening.status).toBe('opened')
    return prepared
  }

  async function command(...args: readonly string[]): Promise<unknown> {
    const run = await runCommand([...args, '--json'], market.environment)
    expect(run).toMatchObject({ exitCode: 0 })
    return JSON.parse(run.stdout) as unknown
  }

  it('locks, computes, settles, pays every party and gives the rest back', async () => {
    const [network, operator, facilitator, modelOwner, agent] = devnet.wallets
    const { escrow, token } = devnet.contracts
    const session = await open(agent)
    const single = await open(agent, requestHash('/v1/infer', BODY))
    expect(signatures).toBe(2)
    expect(await token.balanceOf(payer.address)).toBe(FUNDS - 2n * OPG)
    // From here on the payer can do nothing about it (E2).
    await (await token.connect(payer).transfer(network.address, FUNDS - 2n * OPG)).wait()

    const shop = { url: node.url, requester: agent }
    const bought = await openSession(market, { ...shop, buyer: { payer, prepared: session } })
    const answers = await Promise.all(Array.from({ length: 5 }, () => bought.session.infer(BODY)))
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 'answered', json: { output: { language: { data: ['es'] } } } })
    }
    const once = await openSession(market, { ...shop, buyer: { payer, prepared: single } })
    expect((await once.session.infer(BODY)).status).toBe('answered')
    expect([bought.book.audit(), once.book.audit()]).toMatchObject([
      { receipts: 5, frauds: [], open: [] },
      { receipts: 1, frauds: [], open: [] },
    ])

    await command('settle', '--close', session.orderId)
    const fees: bigint[] = []
    for (const { orderId, book } of [
      { orderId: session.orderId, book: bought.book },
      { orderId: single.orderId, book: once.book },
    ]) {
      const stored = await receiptsAt(node.url, orderId)
      const settlements = await checkSettled(market, { orderId, amount: OPG, stored })
      expect(settlements.map((settlement) => book.checkSettlement(settlement))).toEqual([{ status: 'consistent' }])
      fees.push(book.spent)
    }

    const share = (bps: bigint): bigint => fees.reduce((sum, fee) => sum + (fee * bps) / 10_000n, 0n)
    const nodeFee = share(10_000n) - share(ROYALTY_BPS) - share(FACILITATOR_BPS) - share(NETWORK_BPS)
    expect(await command('claim')).toMatchObject({ claimed: nodeFee.toString(), to: operator.address })
    await (await escrow.connect(facilitator).claim(facilitator.address)).wait()
    const { modelId } = market.terms(judge)
    await (await escrow.connect(modelOwner).claimRoyalty(modelId, modelOwner.address)).wait()
    const before = await token.balanceOf(network.address)
    await (await escrow.connect(network).claimNetwork(network.address)).wait()

    expect(await token.balanceOf(operator.address)).toBe(nodeFee)
    expect(await token.balanceOf(facilitator.address)).toBe(share(FACILITATOR_BPS))
    expect(await token.balanceOf(modelOwner.address)).toBe(share(ROYALTY_BPS))
    expect((await token.balanceOf(network.address)) - before).toBe(share(NETWORK_BPS))
    expect(await token.balanceOf(payer.address)).toBe(2n * OPG - share(10_000n))
    expect(await token.balanceOf(market.escrow.escrow)).toBe(0n)
    expect(signatures).toBe(2)
  })
})
