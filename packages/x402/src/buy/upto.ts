import { type Evidence, FraudFoundError, ReceiptInvalidError, isSignedBy, learnKey, orderIdOf } from '@opg/payer'
import {
  type Hex,
  type SignedReceipt,
  UPTO_PROXY,
  type UptoAuthorization,
  ZERO_BYTES32,
  domainSeparator,
  requestHash,
  requestId,
  toWire,
  uptoOrder,
  uptoTypedData,
} from '@opg/protocol'
import type { PaymentRequirements } from '@x402/core/types'
import type { UptoOffer } from './offers.js'
import type { Payment, RequestContext } from './requestContext.js'
import type { SpendingWallet } from './wallet.js'

/** A payment is good for at most so long, whatever the seller asks for. */
const MAX_TIMEOUT_SECONDS = 3_600
/** What a chain's clock may be behind. */
const CLOCK_SKEW_SECONDS = 600

/**
 * Signs one request's money as a stock `upto` client does, for an offer that was checked: the order that it opens is
 * known before.
 *
 * @throws {SpendLimitError} {@link FundsMissingError} {@link ChainUnavailableError}
 */
export async function payUpto(
  wallet: SpendingWallet,
  input: { readonly offer: UptoOffer; readonly requirements: PaymentRequirements; readonly context: RequestContext },
): Promise<{ readonly payload: Record<string, unknown>; readonly payment: Payment }> {
  const { offer, requirements, context } = input
  const { host } = context
  const { escrow, blockNumber } = wallet.market
  wallet.checkRequest(host, offer.amount)
  const now = wallet.now()
  const seconds = Math.min(requirements.maxTimeoutSeconds, MAX_TIMEOUT_SECONDS)
  const authorization: UptoAuthorization = {
    from: wallet.address,
    token: escrow.token,
    amount: offer.amount,
    spender: UPTO_PROXY,
    nonce: wallet.nextNonce(),
    deadline: BigInt(now + seconds),
    to: escrow.escrow,
    facilitator: offer.desk,
    validAfter: BigInt(now - CLOCK_SKEW_SECONDS),
  }
  const { terms } = offer.offer
  const { amount } = authorization
  const order = uptoOrder(offer.offer, authorization)
  const orderId = orderIdOf(escrow, { terms, order })
  const { domain, types, message } = uptoTypedData(escrow.chainId, authorization)
  const signature = await wallet.authorize(
    { orderId, host, terms, order, deadline: Number(authorization.deadline), fromBlock: blockNumber },
    () => wallet.signer.signTypedData(domain, types, message),
  )
  const evidence = { evidence: offer.judge.evidence, separator: domainSeparator(escrow) }
  return {
    payload: { signature, permit2Authorization: toWire({ from: wallet.address, ...message }) },
    payment: {
      needsReceipt: false, // stock sellers know no receipts; a facilitator's word is no more than the seller's
      accept: async (signed, hash) => {
        await learnKey(offer.judge.evidence, signed)
        const request = {
          orderId,
          node: terms.node,
          index: 0n,
          maxFee: amount,
          expiresAt: Number(authorization.deadline),
        }
        // Number 0 of the order, which nobody signed. A seller that has only a parsed body cannot hash its bytes.
        const hashes = [requestHash(context.path, context.body), ZERO_BYTES32]
        const requestIds = hashes.map((requestHash) => requestId({ ...request, requestHash }))
        checkReceipt(signed, { ...evidence, orderId, amount, hash, requestIds })
      },
      refuse: () => Promise.resolve(),
      retire: () => false,
      end: () => undefined,
    },
  }
}

/** The one receipt of an order of one request. */
function checkReceipt(
  signed: SignedReceipt,
  expected: {
    readonly evidence: Evidence
    readonly separator: Hex
    readonly orderId: Hex
    readonly amount: bigint
    readonly hash: Hex
    readonly requestIds: readonly Hex[]
  },
): void {
  const { receipt } = signed
  const check = (field: 'orderId' | 'requestId' | 'responseHash', wanted: readonly string[]): void => {
    const found = receipt[field]
    if (wanted.includes(found)) return
    throw new ReceiptInvalidError({ field: `receipt.${field}`, expected: wanted.join(' or '), found })
  }
  check('orderId', [expected.orderId])
  if (!isSignedBy(signed, expected)) {
    throw new ReceiptInvalidError({
      field: 'signature',
      expected: "a signature of the offer's evidence key",
      found: 'another',
    })
  }
  check('requestId', expected.requestIds)
  check('responseHash', [expected.hash])
  if (receipt.cumulativeFee > expected.amount) {
    throw new FraudFoundError({ kind: 'over-amount', receipt: signed })
  }
  if (receipt.seq !== 0n || receipt.cumulativeFee !== receipt.fee) {
    throw new FraudFoundError({ kind: 'cumulative-mismatch', receipts: [signed] })
  }
}
