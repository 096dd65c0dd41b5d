import {
  createWorkOrder,
  nextPermit2Nonce,
  openBatch,
  reclaim,
  requestClose,
  signWorkOrder,
  type PreparedOrder,
} from '@opg/payer'
import { type Address, formatOpg, type Hex, requestHash, type SignedOrder } from '@opg/protocol'
import { PERMIT2 } from '@opg/protocol'
import type { Wallet } from 'ethers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Program } from './program.js'
import { DemoError, progress } from './report.js'
import { inferBody } from './sentences.js'
import type { World } from './world.js'

const OPG = 10n ** 18n
const SESSION_SECONDS = 86_400
const EXPIRY_SECONDS = 3_600
const PATIENCE_MS = 60_000

/** An order as the demo uses it: many requests, the one request in `body`, or none, so that it expires. */
export type DemoOrder = PreparedOrder & { readonly payer: Wallet } & (
    | { readonly use: 'session'; readonly requests: number }
    | { readonly use: 'single'; readonly body: Uint8Array }
    | { readonly use: 'expires' }
  )

type Plan = { readonly payer: Wallet; readonly amount: bigint } & (
  | { readonly use: 'session'; readonly requests: number }
  | { readonly use: 'single'; readonly body: Uint8Array }
  | { readonly use: 'expires' }
)

/** Each payer signs once per order; the facilitator opens all of them in one transaction. */
export async function openOrders(world: World): Promise<readonly DemoOrder[]> {
  const [first, second] = world.payers
  const single = (payer: Wallet, index: number): Plan => {
    return { payer, amount: OPG / 50n, use: 'single', body: inferBody(index) }
  }
  const plans: readonly Plan[] = [
    { payer: first, amount: OPG, use: 'session', requests: 45 },
    { payer: first, amount: OPG / 2n, use: 'session', requests: 35 },
    { payer: second, amount: OPG, use: 'session', requests: 40 },
    single(first, 1),
    single(first, 2),
    single(second, 3),
    { payer: first, amount: OPG / 4n, use: 'expires' },
  ]
  const nonces = new Map<Wallet, bigint[]>()
  const orders: DemoOrder[] = []
  const signedOrders: SignedOrder[] = []
  for (const plan of plans) {
    const inFlight = nonces.get(plan.payer) ?? []
    nonces.set(plan.payer, inFlight)
    const order = await prepareOrder(world, { plan, inFlight })
    inFlight.push(order.order.nonce)
    signedOrders.push(await signWorkOrder(plan.payer, order))
    orders.push({ ...plan, ...order })
  }
  progress(
    `${String(world.payers.length)} payers signed ${String(orders.length)} work orders; the facilitator opens them`,
  )
  const { escrow, terms } = world
  const opening = await openBatch(world.facilitator, { escrow, terms, signedOrders })
  if (opening.status !== 'sent' || opening.orders.some(({ status }) => status !== 'opened')) {
    throw new DemoError(
      `Not every order opened: ${JSON.stringify(opening, (_, v: unknown) => (typeof v === 'bigint' ? v.toString() : v))}`,
    )
  }
  const locked = orders.reduce((sum, { order }) => sum + order.amount, 0n)
  progress(`locked ${formatOpg(locked)} OPG in one transaction, ${opening.gasUsed.toLocaleString('en')} gas`)
  return orders
}

async function prepareOrder(
  world: World,
  { plan, inFlight }: { readonly plan: Plan; readonly inFlight: readonly bigint[] },
): Promise<PreparedOrder> {
  const { devnet, escrow, terms, agent } = world
  const payer = plan.payer.address as Address
  const now = await devnet.now()
  return createWorkOrder({
    escrow,
    terms,
    payer,
    requester: agent.address as Address,
    amount: plan.amount,
    nonce: await nextPermit2Nonce(devnet.provider, { payer, inFlight }),
    claimBy: now + (plan.use === 'expires' ? EXPIRY_SECONDS : SESSION_SECONDS),
    now,
    ...(plan.use === 'single' ? { requestHash: requestHash('/v1/infer', plan.body) } : {}),
  })
}

/** The second payer does its worst: the money is locked already, so the node need not care. */
export async function emptyWallet(world: World, orders: readonly DemoOrder[]): Promise<void> {
  const { devnet, payers, network } = world
  const [, payer] = payers
  const token = devnet.contracts.token.connect(payer)
  await (await token.transfer(network.address, await token.balanceOf(payer.address))).wait()
  await (await token.approve(PERMIT2, 0n)).wait()
  const count = orders.filter((order) => order.payer === payer).length
  progress(`payer 2 emptied its wallet and revoked its approval; its ${String(count)} orders stay locked`)
}

/** The payers ask for the rest of their sessions; the node settles everything in batches. */
export async function closeSessions(
  world: World,
  { orders, nodeUrl }: { readonly orders: readonly DemoOrder[]; readonly nodeUrl: string },
): Promise<void> {
  progress('the payers ask the node to close their sessions')
  const { escrow, terms, devnet } = world
  for (const { payer, order, use } of orders) {
    if (use !== 'session') continue
    const expiresAt = (await devnet.now()) + EXPIRY_SECONDS
    const answer = await requestClose(payer, { escrow, terms, order, nodeUrl, fetch, expiresAt })
    if (answer.status === 'refused') throw new DemoError(`The node did not close a session: ${answer.detail}`)
  }
  progress('the node settles with TEE evidence')
  const used = orders.filter(({ use }) => use !== 'expires')
  const deadline = performance.now() + PATIENCE_MS
  for (const { orderId } of used) {
    while (!(await isClosed(world, orderId))) {
      if (performance.now() > deadline) throw new DemoError(`Order ${orderId} was not settled in time`)
      await sleep(100)
    }
  }
}

async function isClosed({ devnet }: World, orderId: Hex): Promise<boolean> {
  return (await devnet.contracts.escrow.orders(orderId)).closed
}

/** Everybody who earned something takes it. */
export async function payOut(world: World, node: Program): Promise<void> {
  progress('node, shop, model owner, network and facilitator claim')
  await node.command('claim')
  const { escrow } = world.devnet.contracts
  const { facilitator, modelOwner, network, shopkeeper, terms } = world
  await (await escrow.connect(facilitator).claim(facilitator.address)).wait()
  await (await escrow.connect(shopkeeper).claim(shopkeeper.address)).wait()
  await (await escrow.connect(modelOwner).claimRoyalty(terms.modelId, modelOwner.address)).wait()
  await (await escrow.connect(network).claimNetwork(network.address)).wait()
  await node.stop()
}

/** Nobody served the last order: once it expired, anybody returns it to its payer. */
export async function reclaimExpired(world: World, orders: readonly DemoOrder[]): Promise<void> {
  progress('one order is left to expire, and is reclaimed')
  const { devnet, escrow, terms, facilitator } = world
  await devnet.increaseTime(EXPIRY_SECONDS)
  for (const { order, orderId, use } of orders) {
    if (use !== 'expires') continue
    const reclaimed = await reclaim(facilitator, { escrow, terms, order })
    if (reclaimed.status !== 'reclaimed') throw new DemoError(`Order ${orderId} was not reclaimed: ${reclaimed.status}`)
  }
}
