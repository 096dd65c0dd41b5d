import type { Address, Hex } from '@opg/protocol'
import type { FraudProof } from './fraud.js'
import type { PreparedCall } from './call.js'

const MAX_TEXT = 200

/** The chain did not answer, or not as a chain does. Nothing is known about the order; try again. */
export class ChainUnavailableError extends Error {
  readonly code = 'CHAIN_UNAVAILABLE'
  readonly action: string

  constructor(input: { readonly action: string; readonly cause: unknown }) {
    super(
      `The chain did not answer when asked to ${input.action}: ${reasonOf(input.cause)}. Nothing was learned; try again.`,
      { cause: input.cause },
    )
    this.name = 'ChainUnavailableError'
    this.action = input.action
  }
}

/** There is no contract, or another one than expected, at an address. */
export class ContractNotFoundError extends Error {
  readonly code = 'CONTRACT_NOT_FOUND'
  readonly field: string
  readonly address: Address

  constructor(input: {
    readonly field: string
    readonly address: Address
    readonly chainId: bigint
    readonly cause?: unknown
  }) {
    super(
      `${input.field} must be a contract of this project on chain ${input.chainId.toString()}, but ${input.address} does not answer as one. Check the address and the RPC endpoint.`,
      { cause: input.cause },
    )
    this.name = 'ContractNotFoundError'
    this.field = input.field
    this.address = input.address
  }
}

/** The token refused an approval. */
export class ApprovalFailedError extends Error {
  readonly code = 'APPROVAL_FAILED'
  readonly token: Address

  constructor(input: { readonly token: Address; readonly spender: string; readonly detail: string }) {
    super(
      `${input.token} refused to approve ${input.spender}: ${shorten(input.detail)}. Check that it is OPG on this chain.`,
    )
    this.name = 'ApprovalFailedError'
    this.token = input.token
  }
}

/** The token takes no approval by signature, or not under a domain that can be told. */
export class PermitUnsupportedError extends Error {
  readonly code = 'PERMIT_UNSUPPORTED'
  readonly token: Address

  constructor(input: { readonly token: Address; readonly cause?: unknown }) {
    super(
      `${input.token} takes no approval by signature (EIP-2612) under a domain that is known. Approve Permit2 by a transaction of the payer instead (approvePermit2).`,
      { cause: input.cause },
    )
    this.name = 'PermitUnsupportedError'
    this.token = input.token
  }
}

/** A signer is not the account that must sign. */
export class SignerMismatchError extends Error {
  readonly code = 'SIGNER_MISMATCH'
  readonly field: string
  readonly expected: Address
  readonly found: Address

  constructor(input: { readonly field: string; readonly expected: Address; readonly found: Address }) {
    super(`${input.field} is ${input.expected}, but the signer is ${input.found}. Sign with the account that is named.`)
    this.name = 'SignerMismatchError'
    this.field = input.field
    this.expected = input.expected
    this.found = input.found
  }
}

/** No free Permit2 nonce within the words that were searched. */
export class NonceNotFoundError extends Error {
  readonly code = 'NONCE_NOT_FOUND'

  constructor(input: { readonly payer: Address; readonly firstWord: bigint; readonly words: number }) {
    super(
      `${input.payer} has no free Permit2 nonce in ${input.words.toString()} words from word ${input.firstWord.toString()} on. Search from a later firstWord.`,
    )
    this.name = 'NonceNotFoundError'
  }
}

/** The registry's key for an enclave cannot be trusted. */
export class TeeKeyError extends Error {
  readonly code = 'TEE_KEY_INVALID'
  readonly teeId: Hex
  readonly expected: string
  readonly found: string

  constructor(input: {
    readonly teeId: Hex
    readonly expected: string
    readonly found: string
    readonly cause?: unknown
  }) {
    super(
      `TEE ${input.teeId}: expected ${input.expected}, found ${input.found}. Do not send requests to this enclave; ask the node which one it runs.`,
      { cause: input.cause },
    )
    this.name = 'TeeKeyError'
    this.teeId = input.teeId
    this.expected = input.expected
    this.found = input.found
  }
}

/** The node could not be reached, or said "later", as often as was tried. The same call may be sent again. */
export class NodeUnavailableError extends Error {
  readonly code = 'NODE_UNAVAILABLE'
  readonly url: string
  readonly attempts: number
  readonly call: PreparedCall | undefined

  constructor(input: {
    readonly url: string
    readonly attempts: number
    readonly cause: unknown
    readonly call?: PreparedCall
  }) {
    super(
      `${input.url} gave no answer in ${input.attempts.toString()} attempts: ${reasonOf(input.cause)}. Send the same call again later: it is billed once.`,
      { cause: input.cause },
    )
    this.name = 'NodeUnavailableError'
    this.url = input.url
    this.attempts = input.attempts
    this.call = input.call
  }
}

/** The node answered something that is no answer to the call. */
export class NodeAnswerError extends Error {
  readonly code = 'NODE_ANSWER_INVALID'
  readonly field: string
  readonly expected: string
  readonly found: string
  readonly call: PreparedCall | undefined

  constructor(input: {
    readonly field: string
    readonly expected: string
    readonly found: string
    readonly call?: PreparedCall | undefined
    readonly cause?: unknown
  }) {
    const found = shorten(input.found)
    super(
      `The node's answer is invalid: ${input.field} must be ${input.expected}, but it is ${found}. Stop using this node if it happens again.`,
      { cause: input.cause },
    )
    this.name = 'NodeAnswerError'
    this.field = input.field
    this.expected = input.expected
    this.found = found
    this.call = input.call
  }
}

/** A receipt is not one of this order and this node, or not for this answer. It proves nothing and is not kept. */
export class ReceiptInvalidError extends Error {
  readonly code = 'RECEIPT_INVALID'
  readonly field: string
  readonly expected: string
  readonly found: string

  constructor(input: { readonly field: string; readonly expected: string; readonly found: string }) {
    super(
      `${input.field} must be ${input.expected}, but it is ${shorten(input.found)}. Do not rely on this answer, and stop using this node.`,
    )
    this.name = 'ReceiptInvalidError'
    this.field = input.field
    this.expected = input.expected
    this.found = shorten(input.found)
  }
}

/** The node signed what it may not sign. `proof` convinces others; see `verifyFraud`. */
export class FraudFoundError extends Error {
  readonly code = 'FRAUD_FOUND'
  readonly proof: FraudProof

  constructor(proof: FraudProof) {
    super(
      `The node's signed receipts are fraudulent: ${proof.kind}. The session is stopped; keep the proof, and reclaim the rest of the order once it expires.`,
    )
    this.name = 'FraudFoundError'
    this.proof = proof
  }
}

/** A stream ended before its receipt. Sending the same call again gives the whole stored answer, if the node has one. */
export class StreamInterruptedError extends Error {
  readonly code = 'STREAM_INTERRUPTED'
  readonly call: PreparedCall

  constructor(input: { readonly call: PreparedCall; readonly detail: string; readonly cause?: unknown }) {
    super(
      `The stream ended without a receipt: ${shorten(input.detail)}. Send the same call again for the stored answer; it is billed once.`,
      { cause: input.cause },
    )
    this.name = 'StreamInterruptedError'
    this.call = input.call
  }
}

/** A line of a receipt log is not what was written. */
export class ReceiptLogError extends Error {
  readonly code = 'RECEIPT_LOG_CORRUPT'
  readonly line: number

  constructor(input: { readonly line: number; readonly cause: unknown }) {
    super(
      `Line ${input.line.toString()} of the receipt log cannot be read: ${reasonOf(input.cause)}. Restore the log from a copy, or move the line away.`,
      { cause: input.cause },
    )
    this.name = 'ReceiptLogError'
    this.line = input.line
  }
}

/** A message for people out of whatever was thrown, short and on one line. */
export function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return shorten(String(cause))
  if ('shortMessage' in cause && typeof cause.shortMessage === 'string') return shorten(cause.shortMessage)
  const inner = cause.cause instanceof Error ? ` (${cause.cause.message})` : ''
  return shorten(`${cause.message}${inner}`)
}

/** At most 200 characters of a text from outside, without control characters. */
export function shorten(text: string): string {
  const line = text.slice(0, MAX_TEXT + 1).replace(/\p{Cc}/gu, ' ')
  return line.length <= MAX_TEXT ? line : `${line.slice(0, MAX_TEXT - 3)}...`
}
