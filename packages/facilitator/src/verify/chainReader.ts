import type { Address, Hex, Order, Settlement, Terms } from '@opg/protocol'
import type { Opening } from '../engine/types.js'

/** What a facilitator reads of the chain. Whatever fails is a `ChainUnavailableError`, never an answer (N6). */
export interface ChainReader {
  /** What a payer's authorization rests on. */
  payer(input: { readonly payer: Address; readonly nonce: bigint }): Promise<PayerState>
  /** Whether an account has code: Permit2 then asks it for signatures (ERC-1271, EIP-7702), and does not recover. */
  hasCode(account: Address): Promise<boolean>
  /** ERC-1271: whether an account with code takes `signature` for its own. */
  isValidSignature(account: Address, claim: { readonly digest: Hex; readonly signature: Hex }): Promise<boolean>
  /** What would become of an order if it were opened now. */
  simulateOpening(opening: Opening): Promise<SimulatedOpening>
  /** Whether the escrow knows an order, open or closed. */
  isKnownOrder(orderId: Hex): Promise<boolean>
  /** Whether evidence holds for a settlement, by the verifier that the terms name. */
  simulateSettlement(input: {
    readonly terms: Terms
    readonly order: Order
    readonly settlement: Settlement
    readonly evidence: Hex
  }): Promise<SimulatedSettlement>
  /** The latest block. */
  latestBlock(): Promise<{ readonly number: number; readonly timestamp: number }>
}

export interface PayerState {
  readonly hasCode: boolean
  /** Base units of OPG. */
  readonly balance: bigint
  /** Base units of OPG that Permit2 may take. */
  readonly allowance: bigint
  readonly isNonceUsed: boolean
}

export type SimulatedOpening =
  | { readonly status: 'opens' }
  /** It is open, or was: nothing would move. */
  | { readonly status: 'known' }
  | { readonly status: 'refused'; readonly detail: string }

export type SimulatedSettlement =
  | { readonly status: 'holds' }
  | { readonly status: 'refused'; readonly detail: string }
