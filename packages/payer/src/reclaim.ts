import { InferenceEscrow__factory } from '@opg/bindings'
import type { Signer } from 'ethers'
import type { Hex, Order, Terms } from '@opg/protocol'
import { type Revert, hashOf, simulate, transact } from './chain.js'
import { orderIdOf } from './createWorkOrder.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkList, checkOrder, checkTerms } from './input.js'

const escrowInterface = InferenceEscrow__factory.createInterface()

/** An order with the terms that its id commits to. */
export interface OrderWithTerms {
  readonly terms: Terms
  readonly order: Order
}

type NotReclaimed =
  | { readonly status: 'too-early'; readonly orderId: Hex; readonly claimBy: number }
  | { readonly status: 'closed'; readonly orderId: Hex }
  | { readonly status: 'unknown'; readonly orderId: Hex }
  | { readonly status: 'refused'; readonly orderId: Hex; readonly reason: string; readonly detail: string }

export type Reclaim =
  { readonly status: 'reclaimed'; readonly orderId: Hex; readonly refund: bigint; readonly txHash: Hex } | NotReclaimed

/**
 * Returns what an expired order still holds to its payer. Anyone may call it; the signer pays the gas.
 *
 * @throws {InvalidInputError} {@link ChainUnavailableError}
 */
export async function reclaim(
  signer: Signer,
  options: OrderWithTerms & { readonly escrow: EscrowInfo },
): Promise<Reclaim> {
  const { escrow } = options
  const target = targetOf(escrow, options, '')
  const result = await transact(signer, {
    call: { to: escrow.escrow, data: target.data },
    interfaces: [escrowInterface],
    action: 'reclaim an order',
  })
  if (result.status === 'mined') {
    const refund = refundOf(result.returned)
    return { status: 'reclaimed', orderId: target.orderId, refund, txHash: hashOf(result.receipt) }
  }
  if (result.status === 'reverted') return notReclaimed(target, result.revert)
  return { status: 'refused', orderId: target.orderId, reason: 'NotSent', detail: 'nothing was sent' }
}

/**
 * Reclaims many orders in one transaction; those that cannot be are left out of it and reported.
 *
 * @throws {InvalidInputError} {@link ChainUnavailableError}
 */
export async function reclaimMany(
  signer: Signer,
  options: { readonly escrow: EscrowInfo; readonly orders: readonly OrderWithTerms[] },
): Promise<readonly Reclaim[]> {
  const { escrow } = options
  const targets = checkList(options.orders, { field: 'orders', min: 0 }).map((order, i) =>
    targetOf(escrow, order, `orders[${String(i)}].`),
  )
  const distinct = new Map(targets.map((target) => [target.orderId, target]))

  // Somebody else may reclaim one of them in between, which fails the whole transaction: then look again, once.
  for (let attempt = 0; ; attempt++) {
    const results = await Promise.all([...distinct.values()].map((target) => trial(signer, { escrow, target })))
    const ready = results.flatMap((result) => (result.status === 'ready' ? [result] : []))
    const outcomes = new Map<Hex, Reclaim>()
    for (const result of results) if (result.status !== 'ready') outcomes.set(result.orderId, result)
    if (ready.length > 0) {
      const data = escrowInterface.encodeFunctionData('multicall', [ready.map(({ data }) => data)])
      const sent = await transact(signer, {
        call: { to: escrow.escrow, data },
        interfaces: [escrowInterface],
        action: 'reclaim orders',
      })
      if (sent.status !== 'mined' && attempt === 0) continue
      for (const { orderId, refund } of ready) outcomes.set(orderId, outcomeOf({ orderId, refund, sent }))
    }
    return targets.flatMap(({ orderId }) => outcomes.get(orderId) ?? [])
  }
}

interface Target {
  readonly orderId: Hex
  readonly claimBy: number
  readonly data: string
}

function targetOf(escrow: EscrowInfo, input: OrderWithTerms, prefix: string): Target {
  const terms = checkTerms(input.terms, `${prefix}terms`)
  const order = checkOrder(input.order, `${prefix}order`)
  return {
    orderId: orderIdOf(escrow, { terms, order }),
    claimBy: order.claimBy,
    data: escrowInterface.encodeFunctionData('reclaim', [terms, order]),
  }
}

async function trial(
  signer: Signer,
  { escrow, target }: { readonly escrow: EscrowInfo; readonly target: Target },
): Promise<NotReclaimed | (Target & { readonly status: 'ready'; readonly refund: bigint })> {
  const call = { to: escrow.escrow, data: target.data }
  const result = await simulate(signer, { call, interfaces: [escrowInterface], action: 'reclaim an order' })
  return result.status === 'reverted'
    ? notReclaimed(target, result.revert)
    : { ...target, status: 'ready', refund: refundOf(result.data) }
}

function outcomeOf(input: {
  readonly orderId: Hex
  readonly refund: bigint
  readonly sent: Awaited<ReturnType<typeof transact>>
}): Reclaim {
  const { orderId, refund, sent } = input
  if (sent.status === 'mined') return { status: 'reclaimed', orderId, refund, txHash: hashOf(sent.receipt) }
  const revert = sent.status === 'reverted' ? sent.revert : { reason: 'NotSent', detail: 'nothing was sent' }
  return { status: 'refused', orderId, ...revert }
}

function notReclaimed({ orderId, claimBy }: Target, revert: Revert): NotReclaimed {
  if (revert.reason === 'OrderNotExpired') return { status: 'too-early', orderId, claimBy }
  if (revert.reason === 'OrderClosed') return { status: 'closed', orderId }
  if (revert.reason === 'OrderUnknown') return { status: 'unknown', orderId }
  return { status: 'refused', orderId, ...revert }
}

function refundOf(returned: string): bigint {
  return BigInt(String(escrowInterface.decodeFunctionResult('reclaim', returned)[0]))
}
