import { SILENT, type Logger } from '@opg/operator'
import {
  SELLER_MEMBER,
  deskAddress,
  orderId,
  parseUptoExtra,
  parseUptoPayment,
  structDigest,
  toWire,
  uptoOrder,
  type Address,
  type CaptureStep,
  type Hex,
  type LockStep,
  type Offer,
  type SellerStep,
  type Terms,
} from '@opg/protocol'
import { HTTPFacilitatorClient } from '@x402/core/http'
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types'
import { UptoEvmScheme } from '@x402/evm/upto/client'
import { Contract, type Wallet } from 'ethers'
import type { FastifyInstance } from 'fastify'
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { EnginePolicy } from '../../src/engine/policy.js'
import type { Engine, Opening } from '../../src/engine/types.js'
import { createHealth } from '../../src/http/health.js'
import { createMetrics } from '../../src/http/metrics.js'
import { createFacilitatorServer } from '../../src/http/server.js'
import { createFacilitatorService, type FacilitatorService } from '../../src/service.js'
import type { ChainReader } from '../../src/verify/chainReader.js'
import { networkOf, type Deployed } from '../../src/verify/deployed.js'
import { openDeployed } from '../../src/verify/openDeployed.js'
import type { OfferPolicy } from '../../src/verify/policy.js'
import { createRpcReader } from '../../src/verify/rpcReader.js'
import { EngineWorld, OPG, type RunningEngine } from '../engine/support/world.js'

export { OPG } from '../engine/support/world.js'

/** What a seller makes of a payment. */
export type Paid = PaymentPayload & { readonly accepted: PaymentRequirements }

export interface RunningService {
  readonly service: FacilitatorService
  readonly engine: Engine
  readonly client: HTTPFacilitatorClient
  readonly url: string
  readonly reader: ChainReader
  close(): Promise<void>
}

/** A facilitator over HTTP on a chain process, with whoever pays and sells. */
export class ServiceWorld {
  readonly deployed: Deployed
  readonly chain: EngineWorld

  private constructor(chain: EngineWorld, deployed: Deployed) {
    this.chain = chain
    this.deployed = deployed
  }

  static async start(): Promise<ServiceWorld> {
    const chain = await EngineWorld.start()
    return new ServiceWorld(chain, await openDeployed(chain.devnet.provider, chain.devnet.deployment))
  }

  stop(): Promise<void> {
    return this.chain.stop()
  }

  get facilitator(): Address {
    return this.chain.sender.address as Address
  }

  /** Over an engine that runs with books of its own, unless one is given. */
  async startService(
    options: {
      readonly policy?: Partial<OfferPolicy>
      readonly limits?: Partial<EnginePolicy>
      readonly reader?: Partial<ChainReader>
      readonly engine?: Engine
      readonly logger?: Logger
      readonly lockTimeoutMs?: number
    } = {},
  ): Promise<RunningService> {
    const { limits: policy = {} } = options
    const running: RunningEngine | undefined =
      options.engine === undefined ? await this.chain.startEngine({ policy }) : undefined
    const engine = options.engine ?? (running as RunningEngine).engine
    const { provider } = this.chain.devnet
    const reader = {
      ...createRpcReader({ provider, deployed: this.deployed, from: this.facilitator }),
      ...options.reader,
    }
    const logger = options.logger ?? SILENT
    const service = createFacilitatorService({
      deployed: this.deployed,
      policy: { ...this.policy, ...options.policy },
      reader,
      engine,
      lockTimeoutMs: options.lockTimeoutMs ?? 30_000,
      clock: Date.now,
      logger,
    })
    const limits = { minBalance: 1n, maxPendingSeconds: 60 }
    const app: FastifyInstance = createFacilitatorServer({
      service,
      health: createHealth({ engine, reader, limits, clock: Date.now }),
      metrics: createMetrics(),
      clock: Date.now,
      logger,
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const url = `http://127.0.0.1:${String((app.server.address() as AddressInfo).port)}`
    return {
      service,
      engine,
      client: new HTTPFacilitatorClient({ url }),
      url,
      reader,
      close: async () => {
        await app.close()
        await running?.close()
      },
    }
  }

  get policy(): OfferPolicy {
    return { facilitator: this.facilitator, minFacilitatorBps: 0, deadlineMarginSeconds: 6, sponsorsApprovals: true }
  }

  /** What a seller asks for stock payments. */
  uptoRequirements(
    input: { readonly terms?: Partial<Terms>; readonly claimWindow?: number; readonly amount?: bigint } = {},
  ): PaymentRequirements {
    const { claimWindow = 3_600, amount = OPG } = input
    const offer: Offer = { terms: this.chain.terms(input.terms), claimWindow }
    const upto = this.deployed.upto as NonNullable<Deployed['upto']>
    return {
      scheme: 'upto',
      network: networkOf(this.deployed) as PaymentRequirements['network'],
      asset: this.deployed.token,
      amount: amount.toString(),
      payTo: this.deployed.escrow,
      maxTimeoutSeconds: 300,
      extra: {
        assetTransferMethod: 'permit2',
        paymentFlow: 'escrow',
        facilitatorAddress: deskAddress({ adapter: upto.adapter, initCodeHash: upto.deskInitCodeHash, offer }),
        adapter: upto.adapter,
        offer: toWire(offer),
        name: 'OpenGradient (development)',
        version: '1',
      },
    }
  }

  /** Pays by the stock `upto` client, unmodified. */
  async pay(
    requirements: PaymentRequirements,
    options: { readonly wallet?: Wallet; readonly sponsored?: boolean } = {},
  ): Promise<Paid> {
    const { wallet = this.chain.payer, sponsored = false } = options
    const scheme = new UptoEvmScheme({
      address: wallet.address as Address,
      signTypedData: async ({ domain, types, message }) =>
        (await wallet.signTypedData(domain, types as Parameters<Wallet['signTypedData']>[1], message)) as Hex,
      readContract: async ({ address, abi, functionName, args }) => {
        const contract = new Contract(address, abi as ConstructorParameters<typeof Contract>[1], wallet)
        return (await contract.getFunction(functionName)(...(args ?? []))) as unknown
      },
    })
    const context = sponsored ? { extensions: { eip2612GasSponsoring: {} } } : {}
    const { x402Version, payload, extensions } = await scheme.createPaymentPayload(2, requirements, context)
    return { x402Version, accepted: requirements, payload, ...(extensions === undefined ? {} : { extensions }) }
  }

  /** The id of the order that a payment is about, whether or not it is a good one. */
  uptoOrderId({ accepted, payload }: Paid): Hex {
    const { offer } = parseUptoExtra(accepted.extra)
    const order = uptoOrder(offer, parseUptoPayment(payload).authorization)
    return orderId({ seed: this.deployed.seed, terms: offer.terms, order })
  }

  /** A session's payment, with its permit. */
  async session(requirements: PaymentRequirements, opening: Opening): Promise<Paid> {
    const { orderId, terms, order, funding } = opening
    const request = {
      orderId,
      node: terms.node,
      index: 0n,
      requestHash: `0x${'12'.repeat(32)}`,
      maxFee: BigInt(requirements.amount),
      expiresAt: (await this.chain.devnet.now()) + 600,
    }
    const permit = { deadline: funding.deadline, signature: funding.signature }
    const payload = toWire({
      terms,
      order,
      permit,
      request,
      signature: `0x${'34'.repeat(65)}`,
    }) as PaymentPayload['payload']
    return { x402Version: 2, accepted: requirements, payload }
  }

  sessionRequirements(
    input: { readonly terms?: Partial<Terms>; readonly minAmount?: bigint } = {},
  ): PaymentRequirements {
    return {
      scheme: 'work-order',
      network: networkOf(this.deployed) as PaymentRequirements['network'],
      asset: this.deployed.token,
      amount: '1000',
      payTo: this.deployed.escrow,
      maxTimeoutSeconds: 300,
      extra: {
        terms: toWire(this.chain.terms(input.terms)),
        deploymentChainId: Number(this.deployed.deploymentChainId),
        minAmount: (input.minAmount ?? 1n).toString(),
        minSecondsToClaimBy: 60,
        vouchers: false,
      },
    }
  }

  /** The node's word that an order is locked for this attempt. */
  lockStep(orderId: Hex, options: { readonly attempt?: Hex; readonly by?: Wallet } = {}): LockStep {
    const { attempt = `0x${randomBytes(32).toString('hex')}`, by = this.chain.node } = options
    const digest = structDigest(this.deployed.separator, { name: 'LockAttempt', value: { orderId, attempt } })
    return { phase: 'lock', attempt, signature: by.signingKey.sign(digest).serialized as Hex }
  }

  captureStep(opening: Pick<Opening, 'orderId' | 'terms'>, fee: bigint, key?: Wallet): CaptureStep {
    const { settlement, evidence } = this.chain.capture(opening as Opening, fee, key)
    return { phase: 'capture', settlement, evidence }
  }
}

/** A payment with the seller's step in it. */
export function withStep(paid: Paid, step: SellerStep): Paid {
  return { ...paid, payload: { ...paid.payload, [SELLER_MEMBER]: toWire(step) } }
}
