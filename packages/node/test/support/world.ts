import { type Devnet, startDevnet } from '@opg/devnet'
import {
  type Address,
  type Allocation,
  type CloseRequest,
  type Hex,
  type InferenceRequest,
  type Order,
  type PriceSheet,
  type SignedRequest,
  type SignedVoucher,
  type Slice,
  type SliceHolder,
  type Terms,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  allocationId,
  createAllocation,
  domainSeparator,
  orderId,
  orderSeed,
  requestHash,
  sliceId,
  sliceProof,
  structDigest,
  toWire,
} from '@opg/protocol'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Wallet } from 'ethers'
import type { LogFields, Logger, Sleep } from '../../src/edge.js'
import { ecdsaSigner } from '../../src/receipts/ecdsaSigner.js'
import { type NodeOptions, type PaymentNode, openNode } from '../../src/service/openNode.js'
import type { PaidCall } from '../../src/service/types.js'
import { hash } from './books.js'

/** One for all, so that the same request asked for twice is the same, also where a second ends in between. Unix seconds. */
const EXPIRES_AT = Math.floor(Date.now() / 1000) + 3_600

export const MODEL_ID = hash('model')
export const PATH = '/v1/infer'
export const OPG = 10n ** 18n
/** Ten base units a request, one an output token. */
export const PRICES: PriceSheet = { perRequest: 10n, inputPerMillion: 0n, outputPerMillion: 1_000_000n }

export const sleep: Sleep = async (ms, signal) => {
  await wait(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
}

/** An order that is open on chain. */
export interface OpenOrder {
  readonly orderId: Hex
  readonly terms: Terms
  readonly order: Order
  readonly requester: Wallet
  readonly payer: Wallet
  /** Set: a slice of a routed order; `orderId` is the slice's. */
  readonly slice?: { readonly allocation: Allocation; readonly slice: Slice; readonly proof: readonly Hex[] }
}

/** A chain with everything, a directory for books, and whoever takes part. */
export class World {
  readonly devnet: Devnet
  readonly directory: string
  readonly node: Wallet
  readonly payer: Wallet
  readonly requester: Wallet
  readonly facilitator: Wallet
  readonly logged: string[] = []
  #nonce = 0n
  #books = 0

  private constructor(devnet: Devnet, directory: string) {
    this.devnet = devnet
    this.directory = directory
    const [, node, payer, requester, facilitator] = devnet.wallets
    this.node = node
    this.payer = payer
    this.requester = requester
    this.facilitator = facilitator
  }

  static async start(): Promise<World> {
    const devnet = await startDevnet()
    const world = new World(devnet, await mkdtemp(join(tmpdir(), 'opg-node-')))
    await devnet.mint(world.payer.address, 1_000_000n * OPG)
    const { token, escrow } = devnet.contracts
    await (await token.connect(world.payer).approve(await escrow.getAddress(), 2n ** 255n)).wait()
    return world
  }

  async stop(): Promise<void> {
    await this.devnet.stop()
    await rm(this.directory, { recursive: true })
  }

  get escrow(): Address {
    return this.devnet.deployment.escrow
  }

  get separator(): Hex {
    return domainSeparator({ chainId: BigInt(this.devnet.chainId), escrow: this.escrow })
  }

  /** Keeps every line, so that tests can look for what must not be in it. */
  get logger(): Logger {
    const keep = (fields: LogFields, message: string): void => {
      this.logged.push(JSON.stringify({ message, ...fields }))
    }
    return { info: keep, warn: keep, error: keep }
  }

  freshBooks(): string {
    this.#books += 1
    return join(this.directory, `node${String(this.#books)}.db`)
  }

  /** The node's options; its ECDSA key signs both transactions and receipts. */
  options(overrides: Partial<NodeOptions> = {}): NodeOptions {
    return {
      rpc: this.devnet.rpcUrl,
      escrow: this.escrow,
      nodeKey: this.node.privateKey,
      verifiers: [
        { kind: 'key', address: this.devnet.deployment.keyReceiptVerifier, signer: ecdsaSigner(this.node.privateKey) },
      ],
      databasePath: this.freshBooks(),
      modelIds: [MODEL_ID],
      clock: Date.now,
      random: randomBytes,
      sleep,
      logger: this.logger,
      ...overrides,
    }
  }

  openNode(overrides: Partial<NodeOptions> = {}): Promise<PaymentNode> {
    return openNode(this.options(overrides))
  }

  terms(overrides: Partial<Terms> = {}): Terms {
    return {
      node: this.node.address as Address,
      facilitator: ZERO_ADDRESS,
      facilitatorBps: 0,
      verifier: this.devnet.deployment.keyReceiptVerifier,
      evidenceKey: ZERO_BYTES32,
      modelId: MODEL_ID,
      ...overrides,
    }
  }

  /** An order that is signed by nobody and open nowhere yet. */
  async draft(input: { readonly terms?: Partial<Terms>; readonly order?: Partial<Order> } = {}): Promise<OpenOrder> {
    this.#nonce += 1n
    const terms = this.terms(input.terms)
    const order: Order = {
      payer: this.payer.address as Address,
      nonce: this.#nonce,
      amount: 1_000n,
      job: { requester: this.requester.address as Address, requestHash: ZERO_BYTES32 },
      claimBy: (await this.devnet.now()) + 86_400,
      ...input.order,
    }
    const seed = orderSeed({ chainId: BigInt(this.devnet.chainId), escrow: this.escrow })
    const { payer, requester } = this
    return { orderId: orderId({ seed, terms, order }), terms, order, payer, requester }
  }

  /** An order with its money locked. */
  async open(input: { readonly terms?: Partial<Terms>; readonly order?: Partial<Order> } = {}): Promise<OpenOrder> {
    const draft = await this.draft(input)
    const { escrow } = this.devnet.contracts
    await (await escrow.connect(this.payer).openFunded(draft.terms, draft.order)).wait()
    return draft
  }

  /** A routed order, opened and allocated: a slice for each holder, all of them this node's if none are named. */
  async openSlices(
    input: {
      readonly holders?: readonly SliceHolder[]
      readonly cap?: bigint
      readonly terms?: Partial<Terms>
      readonly order?: Partial<Order>
      readonly isAllocated?: boolean
    } = {},
  ): Promise<readonly [OpenOrder, ...OpenOrder[]]> {
    const own = { node: this.node.address as Address, evidenceKey: input.terms?.evidenceKey ?? ZERO_BYTES32 }
    const { holders = [own, own, own], cap = 300n, isAllocated = true } = input
    const facilitator = this.facilitator.address as Address
    const terms = { node: ZERO_ADDRESS, facilitator, ...input.terms }
    const routed = await this.open({ terms, order: { amount: cap * BigInt(holders.length) + 7n, ...input.order } })
    const { allocation, slices } = createAllocation({ holders, cap, series: 1n })
    const { escrow } = this.devnet.contracts
    if (isAllocated) {
      await (await escrow.connect(this.facilitator).allocate(routed.terms, routed.order, allocation, '0x')).wait()
    }
    const id = allocationId(routed.orderId, allocation)
    const [first, ...others] = slices.map((slice) => ({
      ...routed,
      orderId: sliceId(id, slice.index),
      slice: { allocation, slice, proof: sliceProof(holders, [slice.index]) },
    }))
    if (first === undefined) throw new TypeError('no holders')
    return [first, ...others]
  }

  /** Opens an order and hands it to the node. */
  async admitted(
    node: PaymentNode,
    input: { readonly terms?: Partial<Terms>; readonly order?: Partial<Order> } = {},
  ): Promise<OpenOrder> {
    const order = await this.open(input)
    const admission = await node.service.admitOrder(orderInput(order))
    if (admission.status !== 'admitted') throw new TypeError(`${admission.reason}: ${admission.detail}`)
    return order
  }

  /** A request for `body`, signed by the order's requester. */
  signRequest(
    order: OpenOrder,
    input: { readonly index: bigint } & Partial<InferenceRequest> & { readonly body?: string },
  ): SignedRequest {
    const { body = BODY, ...overrides } = input
    const request: InferenceRequest = {
      orderId: order.orderId,
      node: order.slice?.slice.node ?? order.terms.node,
      requestHash: requestHash(PATH, new TextEncoder().encode(body)),
      maxFee: 100n,
      expiresAt: EXPIRES_AT,
      ...overrides,
    }
    const digest = structDigest(this.separator, { name: 'InferenceRequest', value: request })
    return { request, signature: order.requester.signingKey.sign(digest).serialized as Hex }
  }

  /** The requester's consent to a total. */
  signVoucher(order: OpenOrder, maxCumulativeFee: bigint, by: Wallet = order.requester): SignedVoucher {
    const voucher = { orderId: order.orderId, node: order.slice?.slice.node ?? order.terms.node, maxCumulativeFee }
    const digest = structDigest(this.separator, { name: 'Voucher', value: voucher })
    return { voucher, signature: by.signingKey.sign(digest).serialized as Hex }
  }

  signClose(
    order: OpenOrder,
    by: Wallet = order.payer,
  ): { readonly closeRequest: CloseRequest; readonly signature: Hex } {
    const closeRequest = { orderId: order.orderId, expiresAt: Math.floor(Date.now() / 1000) + 600 }
    const digest = structDigest(this.separator, { name: 'CloseRequest', value: closeRequest })
    return { closeRequest, signature: by.signingKey.sign(digest).serialized as Hex }
  }

  /** A paid call whose answer is `answer N` and costs 10 + 5. */
  call(
    order: OpenOrder,
    input: { readonly index: bigint } & Partial<PaidCall> & { readonly maxFee?: bigint; readonly body?: never },
  ): PaidCall {
    const { index, maxFee = 100n, ...overrides } = input
    return {
      path: PATH,
      body: new TextEncoder().encode(BODY),
      signedRequest: toWire(this.signRequest(order, { index, maxFee })),
      modelId: MODEL_ID,
      prices: PRICES,
      maxFeeNeeded: 15n,
      run: async ({ emit }) => {
        await emit(new TextEncoder().encode(`answer ${index.toString()}`))
        return { usage: { inputTokens: 3n, outputTokens: 5n }, contentType: 'text/plain' }
      },
      signal: new AbortController().signal,
      ...overrides,
    }
  }
}

export const BODY = '{"input":[1,2,3]}'

export function orderInput({ terms, order, slice }: OpenOrder): unknown {
  return slice === undefined ? toWire({ terms, order }) : toWire({ terms, order, slice })
}
