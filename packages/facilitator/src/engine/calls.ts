import { InferenceEscrow__factory } from '@opg/bindings'
import { type Hex, termsHash, uptoFundingData } from '@opg/protocol'
import { Interface } from 'ethers'
import type { StoredOrder } from './store/types.js'
import type { Capture, Eip2612Approval, Opening } from './types.js'

const escrowInterface = new Interface(InferenceEscrow__factory.abi)

/** A call of the escrow, and how to read what it returns. */
export interface OpeningCall {
  readonly data: Hex
  /** Of each order, whether the call opened it. */
  readonly opened: (returned: Hex) => readonly boolean[]
}

/** Openings with the same key fit into one call: they share terms, and where the money comes from. */
export function batchKeyOf({ terms, funding }: Opening): string {
  return `${termsHash(terms)}:${funding.kind === 'upto' ? funding.adapter : 'permit2'}`
}

/** Opens orders of one batch key: one by itself, several with `gasPerOrder` each. Approvals go ahead of them. */
export function openingCall(
  openings: readonly [Opening, ...Opening[]],
  { gasPerOrder }: { readonly gasPerOrder: bigint },
): OpeningCall {
  const name = nameOf(openings)
  const approvals = openings.flatMap(approvalCall)
  const own = escrowInterface.encodeFunctionData(name, argumentsOf(openings, gasPerOrder)) as Hex
  const opened = (returned: Hex): readonly boolean[] => {
    const answer: unknown = escrowInterface.decodeFunctionResult(name, returned)[0]
    return Array.isArray(answer) ? [...(answer as boolean[])] : [answer === true]
  }
  if (approvals.length === 0) return { data: own, opened }
  return { data: multicall([...approvals, own]), opened: (returned) => opened(lastOf(returned)) }
}

type OpeningName = 'open' | 'openBatch' | 'openVia' | 'openBatchVia'

function nameOf([{ funding }, ...others]: readonly [Opening, ...Opening[]]): OpeningName {
  if (funding.kind === 'upto') return others.length === 0 ? 'openVia' : 'openBatchVia'
  return others.length === 0 ? 'open' : 'openBatch'
}

function argumentsOf(openings: readonly [Opening, ...Opening[]], gasPerOrder: bigint): readonly unknown[] {
  const [{ terms, funding }, ...others] = openings
  const orders = openings.map(signedOrder)
  const tail = others.length === 0 ? orders : [orders, gasPerOrder]
  return funding.kind === 'upto' ? [funding.adapter, terms, ...tail] : [terms, ...tail]
}

function signedOrder({ order, funding }: Opening): object {
  return funding.kind === 'upto'
    ? { order, data: uptoFundingData(funding) }
    : { order, deadline: funding.deadline, signature: funding.signature }
}

function approvalCall({ order, approval }: Opening): readonly Hex[] {
  const parts = approval === undefined ? undefined : partsOf(approval)
  if (approval === undefined || parts === undefined) return []
  const { v, r, s } = parts
  const args = [order.payer, approval.value, approval.deadline, v, r, s] as const
  return [escrowInterface.encodeFunctionData('tryPermit', [...args]) as Hex]
}

/** Undefined where the signature has another length: without its approval the opening says by itself what is missing. */
function partsOf({ signature }: Eip2612Approval): { readonly v: number; readonly r: Hex; readonly s: Hex } | undefined {
  if (signature.length !== 132) return undefined
  const last = Number.parseInt(signature.slice(130), 16)
  return {
    r: `0x${signature.slice(2, 66)}`,
    s: `0x${signature.slice(66, 130)}`,
    v: last < 27 ? last + 27 : last,
  }
}

/** Settles one order by the evidence of its own node. */
export function captureCall(
  { opening: { terms, order } }: Pick<StoredOrder, 'opening'>,
  { settlement, evidence }: Omit<Capture, 'orderId'>,
): Hex {
  const { orderId: _, ...row } = settlement
  return escrowInterface.encodeFunctionData('settle', [terms, [{ order, ...row }], evidence]) as Hex
}

/** Whether a call of `captureCall` would settle. */
export function isSettling(returned: Hex): boolean {
  return escrowInterface.decodeFunctionResult('settle', returned)[0] === 1n
}

export function reclaimCall({ opening: { terms, order } }: StoredOrder): Hex {
  return escrowInterface.encodeFunctionData('reclaim', [terms, order]) as Hex
}

/** All of the calls or none, in one transaction; a single one by itself. */
export function together(calls: readonly Hex[]): Hex {
  const [first, ...others] = calls
  return first !== undefined && others.length === 0 ? first : multicall(calls)
}

function multicall(calls: readonly Hex[]): Hex {
  return escrowInterface.encodeFunctionData('multicall', [[...calls]]) as Hex
}

function lastOf(returned: Hex): Hex {
  const answers = escrowInterface.decodeFunctionResult('multicall', returned)[0] as readonly Hex[]
  return answers.at(-1) ?? '0x'
}
