import type { Devnet } from '@opg/devnet'
import {
  ZERO_BYTES32,
  domainSeparator,
  orderId,
  orderSeed,
  parseWorkOrderExtra,
  requestHash,
  structDigest,
  toWire,
  workOrderPermit,
  type Address,
  type Hex,
  type Order,
  type WorkOrderPayment,
} from '@opg/protocol'
import type { PaymentPayload } from '@x402/core/types'
import type { Wallet } from 'ethers'
import { askFor } from './stockClient.js'

/** One order of a payer, and payments of single requests under it. */
export interface Session {
  readonly orderId: Hex
  /** A payment for one request, without a round trip. */
  paymentFor(
    path: string,
    body: unknown,
    options?: { readonly index?: bigint; readonly maxFee?: bigint },
  ): PaymentPayload
  /** Opens the order by the payer's own hand. */
  open(): Promise<void>
  readonly order: Order
}

let nonce = 1_000n

/** Asks for the terms of what `url` sells, and signs an order on them. Nothing is open yet. */
export async function startSession(
  url: string,
  options: {
    readonly devnet: Devnet
    readonly payer: Wallet
    /** What the offer is asked with. */
    readonly body: unknown
    readonly amount: bigint
    /** Whether payments carry the payer's Permit2 signature. */
    readonly withPermit: boolean
  },
): Promise<Session> {
  const { devnet, payer, body: first, amount, withPermit } = options
  const accepted = (await askFor(url, first)).accepts.find(({ scheme }) => scheme === 'work-order')
  if (accepted === undefined) throw new TypeError('no work-order on offer')
  const { terms } = parseWorkOrderExtra(accepted.extra)
  const address = payer.address as Address
  const context = { chainId: BigInt(devnet.chainId), escrow: devnet.deployment.escrow }
  const claimBy = (await devnet.now()) + 86_400
  const job = { requester: address, requestHash: ZERO_BYTES32 }
  const order: Order = { payer: address, nonce: nonce++, amount, job, claimBy }
  const deadline = BigInt(Math.floor(Date.now() / 1000) + 300)
  const typed = workOrderPermit({ ...context, token: devnet.deployment.token, terms, order, deadline })
  const permitSignature = (await payer.signTypedData(typed.domain, typed.types, typed.message)) as Hex
  const id = orderId({ seed: orderSeed(context), terms, order })
  const separator = domainSeparator(context)
  const expiresAt = Math.floor(Date.now() / 1000) + 600
  let next = 0n
  return {
    orderId: id,
    order,
    open: async () => {
      await (await devnet.contracts.escrow.open(terms, { order, deadline, signature: permitSignature })).wait()
    },
    paymentFor: (path, body, { index = next++, maxFee = BigInt(accepted.amount) } = {}) => {
      const bytes = new TextEncoder().encode(JSON.stringify(body))
      const request = {
        orderId: id,
        node: terms.node,
        index,
        requestHash: requestHash(path, bytes),
        maxFee,
        expiresAt,
      }
      const digest = structDigest(separator, { name: 'InferenceRequest', value: request })
      const payload: WorkOrderPayment = {
        terms,
        order,
        ...(withPermit ? { permit: { deadline, signature: permitSignature } } : {}),
        request,
        signature: payer.signingKey.sign(digest).serialized as Hex,
      }
      return { x402Version: 2, accepted, payload: { ...withoutUndefined(toWire(payload)) } }
    },
  }
}

function withoutUndefined(value: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>
}
