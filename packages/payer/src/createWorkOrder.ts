import {
  type Address,
  type Hex,
  InvalidInputError,
  MAX_CLAIM_WINDOW_SECONDS,
  type Order,
  type Terms,
  type TypedData,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  orderId,
  orderSeed,
  workOrderPermit,
} from '@opg/protocol'
import type { EscrowInfo } from './escrowInfo.js'
import { checkOrder, checkSeconds, checkTerms, checkUint } from './input.js'

export interface WorkOrderInput {
  readonly escrow: EscrowInfo
  /** `node` zero makes a routed order, whose facilitator divides it among nodes (`prepareAllocation`). */
  readonly terms: Terms
  readonly payer: Address
  /** Key that signs the single requests; the payer itself if absent. */
  readonly requester?: Address
  /** The one request that is paid for (`requestHash`); a session of many if absent, as it must be in a routed order. */
  readonly requestHash?: Hex
  /** OPG base units to lock, at most 96 bits. */
  readonly amount: bigint
  /** Permit2's; see `nextPermit2Nonce`. */
  readonly nonce: bigint
  /** Unix seconds: until then evidence settles, from then on the rest can be reclaimed. At most 90 days from now. */
  readonly claimBy: number
  /** Unix seconds until which the order may be opened; `claimBy` if absent. */
  readonly deadline?: number
  /** Unix seconds. */
  readonly now: number
}

/** An order that is ready to be signed. */
export interface PreparedOrder {
  readonly terms: Terms
  readonly order: Order
  readonly deadline: bigint
  readonly orderId: Hex
  /** What the payer's wallet shows and signs. */
  readonly typedData: TypedData
}

/**
 * Puts a work order together and checks all that the escrow will check, so that nobody signs what cannot open.
 *
 * @throws {InvalidInputError} naming the member that is wrong
 */
export function createWorkOrder(input: WorkOrderInput): PreparedOrder {
  const { escrow } = input
  const terms = checkTerms(input.terms)
  const now = checkSeconds(input.now, 'now')
  const order = checkOrder({
    payer: input.payer,
    nonce: checkUint(input.nonce, { field: 'order.nonce', bits: 256 }),
    amount: checkUint(input.amount, { field: 'order.amount', bits: 96, min: 1n }),
    job: { requester: input.requester ?? input.payer, requestHash: input.requestHash ?? ZERO_BYTES32 },
    claimBy: checkSeconds(input.claimBy, 'order.claimBy'),
  })
  refuse(terms.node === escrow.escrow, { field: 'terms.node', expected: 'not the escrow', value: terms.node })
  refuse(terms.facilitator === escrow.escrow, {
    field: 'terms.facilitator',
    expected: 'not the escrow',
    value: terms.facilitator,
  })
  refuse(terms.node === ZERO_ADDRESS && order.job.requestHash !== ZERO_BYTES32, {
    field: 'order.job.requestHash',
    expected: 'zero in a routed order, whose slices would sell the one request many times',
    value: order.job.requestHash,
  })
  refuse(order.payer === ZERO_ADDRESS || order.payer === escrow.escrow, {
    field: 'order.payer',
    expected: 'the account that pays, neither zero nor the escrow',
    value: order.payer,
  })
  refuse(order.job.requester === ZERO_ADDRESS, {
    field: 'order.job.requester',
    expected: 'the account that signs requests',
    value: order.job.requester,
  })
  const latest = now + MAX_CLAIM_WINDOW_SECONDS
  refuse(order.claimBy <= now || order.claimBy > latest, {
    field: 'order.claimBy',
    expected: `after ${String(now)} and, 90 days later, at most ${String(latest)} Unix seconds`,
    value: order.claimBy,
  })
  const deadline = checkSeconds(input.deadline ?? order.claimBy, 'deadline')
  refuse(deadline < now || deadline > order.claimBy, {
    field: 'deadline',
    expected: `from ${String(now)} to claimBy, ${String(order.claimBy)} Unix seconds`,
    value: deadline,
  })
  return describeOrder({ escrow, terms, order, deadline: BigInt(deadline) })
}

/** The id and the typed data of an order that exists. @throws {InvalidInputError} */
export function describeOrder(input: {
  readonly escrow: EscrowInfo
  readonly terms: Terms
  readonly order: Order
  readonly deadline: bigint
}): PreparedOrder {
  const { escrow, terms, order, deadline } = input
  return {
    terms,
    order,
    deadline,
    orderId: orderIdOf(escrow, { terms, order }),
    typedData: workOrderPermit({
      chainId: escrow.chainId,
      escrow: escrow.escrow,
      token: escrow.token,
      terms,
      order,
      deadline,
    }),
  }
}

/** The id of an order at an escrow. @throws {InvalidInputError} if a member does not fit its type */
export function orderIdOf(escrow: EscrowInfo, { terms, order }: { readonly terms: Terms; readonly order: Order }): Hex {
  return orderId({ seed: orderSeed({ chainId: escrow.deploymentChainId, escrow: escrow.escrow }), terms, order })
}

function refuse(
  isWrong: boolean,
  defect: { readonly field: string; readonly expected: string; readonly value: unknown },
): void {
  if (isWrong) throw new InvalidInputError(defect)
}
