import type { Address, Hex } from '@opg/protocol'
import type { Capture, Opening } from '../engine/types.js'

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
  /** Whether evidence holds for a capture, by the verifier that the terms name. */
  simulateCapture(opening: Opening, capture: Capture): Promise<SimulatedCapture>
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

/** `reason` is one word: the name of the contract's error, or the text of a `require`. */
export type SimulatedOpening =
  | { readonly status: 'opens' }
  /** It is open, or was: nothing would move. */
  | { readonly status: 'known' }
  | { readonly status: 'refused'; readonly reason: string }

export type SimulatedCapture = { readonly status: 'holds' } | { readonly status: 'refused'; readonly reason: string }
