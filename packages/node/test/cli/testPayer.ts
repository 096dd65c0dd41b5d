import type { Devnet } from '@opg/devnet'
import {
  REQUEST_HEADER,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  encodeRequestHeader,
  orderId,
  orderSeed,
  requestHash,
  toWire,
  typedData,
  workOrderPermit,
  type Address,
  type Hex,
  type InferenceRequest,
  type Order,
  type Terms,
} from '@opg/protocol'
import { MaxUint256, type Wallet } from 'ethers'

/** The answer of `GET /v1/info`, as far as payers need it. */
export interface Info {
  readonly node: Address
  readonly verifiers: readonly { readonly address: Address; readonly evidenceKeys: readonly Hex[] }[]
  readonly models: readonly { readonly name: string; readonly path: string; readonly modelId: Hex }[]
}

/** An order that is open on chain and admitted by the node. */
export interface OpenOrder {
  readonly orderId: Hex
  /** Sends a paid request. The index counts by itself unless it is given. */
  pay(path: string, body: unknown, options?: PayOptions): Promise<Response>
  signedClose(expiresAt: number): Promise<{ readonly closeRequest: unknown; readonly signature: string }>
}

export interface PayOptions {
  readonly index?: bigint
  readonly maxFee?: bigint
  readonly signal?: AbortSignal
  /** Of another process of the node. */
  readonly url?: string
}

let nonce = 0n

/** Signs an order, opens it through Permit2, and hands it in: all that a payer does before its first request. */
export async function openOrderAt(
  url: string,
  options: {
    readonly devnet: Devnet
    readonly payer: Wallet
    readonly model: string
    readonly amount: bigint
    /** Which of the node's verifiers; the first if absent. */
    readonly verifier?: number
    /** False: signed, and handed in without being opened. */
    readonly isOpened?: boolean
  },
): Promise<OpenOrder> {
  const { devnet, payer, model, amount } = options
  const { escrow, token } = devnet.contracts
  const info = (await (await fetch(`${url}/v1/info`)).json()) as Info
  const verifier = info.verifiers[options.verifier ?? 0]
  const offer = info.models.find(({ name }) => name === model)
  if (verifier === undefined || offer === undefined) throw new TypeError(`no ${model} on offer`)

  const terms: Terms = {
    node: info.node,
    facilitator: ZERO_ADDRESS,
    facilitatorBps: 0,
    verifier: verifier.address,
    evidenceKey: verifier.evidenceKeys[0] ?? ZERO_BYTES32,
    modelId: offer.modelId,
  }
  const address = payer.address as Address
  const claimBy = (await devnet.now()) + 86_400
  const order: Order = {
    payer: address,
    nonce: nonce++,
    amount,
    job: { requester: address, requestHash: ZERO_BYTES32 },
    claimBy,
  }
  await devnet.mint(address, amount)
  await (await token.connect(payer).approve(devnet.deployment.permit2, MaxUint256)).wait()
  const context = { chainId: BigInt(devnet.chainId), escrow: devnet.deployment.escrow }
  const deadline = BigInt(claimBy)
  const permit = workOrderPermit({ ...context, token: devnet.deployment.token, terms, order, deadline })
  const signature = await payer.signTypedData(permit.domain, permit.types, permit.message)
  if (options.isOpened !== false) await (await escrow.open(terms, { order, deadline, signature })).wait()

  const admitted = await fetch(`${url}/v1/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ terms: toWire(terms), order: toWire(order) }),
  })
  if (!admitted.ok) throw new TypeError(`not admitted: ${await admitted.text()}`)
  const id = orderId({ seed: orderSeed(context), terms, order })

  let next = 0n
  // One for all: a request that is sent again is the same to the second.
  const expiresAt = Math.floor(Date.now() / 1000) + 600
  return {
    orderId: id,
    pay: async (path, body, { index = next++, maxFee = amount / 100n, signal, url: at = url } = {}) => {
      const bytes = JSON.stringify(body)
      const request: InferenceRequest = {
        orderId: id,
        node: info.node,
        index,
        requestHash: requestHash(path, Buffer.from(bytes)),
        maxFee,
        expiresAt,
      }
      const data = typedData(context, { name: 'InferenceRequest', value: request })
      const signed = { request, signature: (await payer.signTypedData(data.domain, data.types, data.message)) as Hex }
      return fetch(`${at}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', [REQUEST_HEADER]: encodeRequestHeader(signed) },
        body: bytes,
        ...(signal === undefined ? {} : { signal }),
      })
    },
    signedClose: async (expiresAt) => {
      const closeRequest = { orderId: id, expiresAt }
      const data = typedData(context, { name: 'CloseRequest', value: closeRequest })
      return { closeRequest, signature: await payer.signTypedData(data.domain, data.types, data.message) }
    },
  }
}
