import { UptoAdapter__factory, deploymentOf, type Deployment } from '@opg/bindings'
import {
  ChainUnavailableError,
  SILENT,
  connectProvider,
  openEscrowReader,
  type Clock,
  type Logger,
  type RandomBytes,
  type Sleep,
} from '@opg/node'
import {
  MAX_CLAIM_WINDOW_SECONDS,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  deskAddress,
  parseOffer,
  toWire,
  type Address,
  type Hex,
  type Offer,
  type Terms,
} from '@opg/protocol'
import { HTTPFacilitatorClient, x402ResourceServer, type FacilitatorClient, type RouteConfig } from '@x402/core/server'
import type { PaymentPayload, Price, SchemeNetworkServer } from '@x402/core/types'
import type { JsonRpcProvider } from 'ethers'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { SellerSettingError } from './errors.js'
import { addressOf, signWith, type NodeSigner } from './nodeKey.js'
import type { Offered } from './offered.js'
import { openOutbox } from './outbox.js'
import { memoryOutbox, type OutboxStore } from './outboxStore.js'
import { release } from './receipt.js'
import { rawBody, type ReadBody } from '../rawRequest.js'
import { Sales, type SaleLimits } from './sales.js'
import { SPONSORED_APPROVAL, tokenDomain } from './tokenDomain.js'
import { uptoServer } from './uptoServer.js'

export interface EscrowUptoOptions {
  /** The node's key: fees go to its account, and its word is the evidence. A wallet of ethers, or what signs like one. */
  readonly signer: NodeSigner
  /** The chain, as a URL or a connection. */
  readonly rpc: string | JsonRpcProvider
  /** Who opens and captures, as a URL or a client. */
  readonly facilitator: string | FacilitatorClient
  /** What differs from the plain terms: this node, its own key as evidence, no facilitator's share, no model. */
  readonly terms?: Partial<Terms>
  /** Seconds that are left to answer and capture after the last moment at which a payment can be locked; 3,600. */
  readonly claimWindow?: number
  /** Where the contracts are; as recorded for the chain. */
  readonly deployment?: Deployment
  /** Where captures wait for the facilitator; in memory, which a killed process loses. See `fileOutbox`. */
  readonly outbox?: OutboxStore
  /** Blocks that must stand on a lock before the handler runs; 1. */
  readonly confirmations?: number
  readonly limits?: Partial<SaleLimits>
  /** Gives the raw body of a request for its receipt; by itself only bytes and empty bodies are known. */
  readonly readBody?: ReadBody
  readonly logger?: Logger
  readonly now?: Clock
  readonly randomBytes?: RandomBytes
  readonly sleep?: Sleep
}

/** The seller's side of stock `upto`, as x402 takes a scheme, with what a server needs beside it. */
export interface EscrowUpto extends SchemeNetworkServer {
  readonly scheme: 'upto'
  readonly offered: Offered
  /** A stock resource server that has this scheme and this facilitator. */
  readonly resourceServer: x402ResourceServer
  /** A route for the stock middleware, at most so dear: `"0.01 OPG"`. */
  route(price: Price, options?: Omit<RouteConfig, 'accepts'> & { readonly maxTimeoutSeconds?: number }): RouteConfig
  /** How long the answer to a payment may take from now on, in milliseconds; 0 where nothing is locked for it. */
  remainingMs(payment: PaymentPayload): number
  /** Orders that the facilitator still has to take, and those that are locked now. */
  readonly outboxSize: number
  /** Ends the connections. What waits in a file is taken up by the next process. */
  close(): Promise<void>
}

export const DEFAULT_SALE_LIMITS: SaleLimits = {
  lockTimeoutMs: 30_000,
  confirmTimeoutMs: 15_000,
  captureWaitMs: 5_000,
  answerTimeoutMs: 600_000,
  claimMarginMs: 60_000,
}
const DEFAULT_CLAIM_WINDOW_SECONDS = 3_600
const ASK_TIMEOUT_MS = 30_000

/**
 * Sells over stock x402 `upto`: the money is locked in the escrow before the handler runs, and the fee is taken after it.
 *
 * @throws {SellerSettingError} {@link DeploymentUnknownError} {@link ChainUnavailableError} {@link WrongChainError}
 */
export async function escrowUpto(options: EscrowUptoOptions): Promise<EscrowUpto> {
  const { signer, logger = SILENT, now = Date.now, confirmations = 1 } = options
  const sleep: Sleep = options.sleep ?? pause
  const limits = { ...DEFAULT_SALE_LIMITS, ...options.limits }
  const provider = typeof options.rpc === 'string' ? await connectProvider(options.rpc) : options.rpc
  const deployment =
    options.deployment ?? deploymentOf((await asked('eth_chainId', () => provider.getNetwork())).chainId)
  const reader = await openEscrowReader({ provider, escrow: deployment.escrow, confirmations })
  const offer = offerOf(await addressOf(signer), { deployment, ...options })
  const { chainId, escrow, separator, seed } = reader
  const offered: Offered = {
    network: `eip155:${chainId.toString()}`,
    chainId,
    escrow,
    token: deployment.token,
    separator,
    seed,
    offer,
    extra: await extraOf(offer, { provider, deployment }),
  }
  const facilitator = clientOf(options.facilitator, limits)
  const sign = signWith(signer, offered)
  const outbox = await openOutbox({
    store: options.outbox ?? memoryOutbox(),
    facilitator,
    release: (orderId) => release(orderId, { offered, sign }),
    now,
    sleep,
    logger,
    askTimeoutMs: ASK_TIMEOUT_MS,
  })
  const sales = new Sales({
    offered,
    sign,
    reader,
    facilitator,
    outbox,
    now,
    randomBytes: options.randomBytes ?? randomBytes,
    sleep,
    logger,
    limits,
  })
  const scheme = uptoServer(offered, { sales, readBody: options.readBody ?? rawBody, logger })
  const resourceServer = new x402ResourceServer(facilitator).register(offered.network, scheme)

  return {
    ...scheme,
    scheme: 'upto',
    offered,
    resourceServer,
    route: (price, { maxTimeoutSeconds, ...route } = {}) => ({
      ...route,
      extensions: { ...(offered.extra.name === undefined ? {} : SPONSORED_APPROVAL), ...route.extensions },
      accepts: {
        scheme: 'upto',
        network: offered.network,
        payTo: escrow,
        price,
        ...(maxTimeoutSeconds === undefined ? {} : { maxTimeoutSeconds }),
      },
    }),
    remainingMs: (payment) => sales.remainingMs(payment),
    get outboxSize() {
      return outbox.size
    },
    close: async () => {
      await outbox.close()
      if (typeof options.rpc === 'string') provider.destroy()
    },
  }
}

function offerOf(
  node: Address,
  options: { readonly deployment: Deployment } & Pick<EscrowUptoOptions, 'terms' | 'claimWindow'>,
): Offer {
  const { deployment, claimWindow = DEFAULT_CLAIM_WINDOW_SECONDS } = options
  const terms: Terms = {
    node,
    facilitator: ZERO_ADDRESS,
    facilitatorBps: 0,
    verifier: deployment.keyReceiptVerifier,
    evidenceKey: ZERO_BYTES32,
    modelId: ZERO_BYTES32,
    ...options.terms,
  }
  const offer = parseOffer(toWire({ terms, claimWindow }))
  const own: readonly Hex[] = [ZERO_BYTES32, `0x${node.slice(2).toLowerCase().padStart(64, '0')}`]
  check('terms.node', { isRight: offer.terms.node === node, expected: `the signer, ${node}`, found: offer.terms.node })
  check('terms.verifier', {
    isRight: offer.terms.verifier === deployment.keyReceiptVerifier,
    expected: `the KeyReceiptVerifier, ${deployment.keyReceiptVerifier}, since the signer's word is all the evidence there is`,
    found: offer.terms.verifier,
  })
  check('terms.evidenceKey', {
    isRight: own.includes(offer.terms.evidenceKey),
    expected: "zero or the signer's address",
    found: offer.terms.evidenceKey,
  })
  check('claimWindow', {
    isRight: claimWindow >= 120 && claimWindow < MAX_CLAIM_WINDOW_SECONDS,
    expected: `from 120 seconds to below ${String(MAX_CLAIM_WINDOW_SECONDS)}`,
    found: String(claimWindow),
  })
  return offer
}

async function extraOf(
  offer: Offer,
  { provider, deployment }: { readonly provider: JsonRpcProvider; readonly deployment: Deployment },
): Promise<Offered['extra']> {
  const { uptoAdapter: adapter } = deployment
  if (adapter === null) {
    throw new SellerSettingError('deployment.uptoAdapter', {
      expected: 'the address of an UptoAdapter',
      found: 'null: there is no x402 upto proxy on this chain. Sell by the scheme work-order instead',
    })
  }
  const [initCodeHash, domain] = await asked('the adapter and the token', () =>
    Promise.all([
      UptoAdapter__factory.connect(adapter, provider).DESK_INIT_CODE_HASH(),
      tokenDomain(provider, deployment.token),
    ]),
  )
  return {
    ...domain,
    assetTransferMethod: 'permit2',
    paymentFlow: 'escrow',
    facilitatorAddress: deskAddress({ adapter, initCodeHash: initCodeHash as Hex, offer }),
    adapter,
    offer,
  }
}

function clientOf(facilitator: string | FacilitatorClient, { lockTimeoutMs }: SaleLimits): FacilitatorClient {
  if (typeof facilitator !== 'string') return facilitator
  return new HTTPFacilitatorClient({ url: facilitator, timeoutMs: Math.max(lockTimeoutMs, ASK_TIMEOUT_MS) })
}

function check(
  setting: string,
  { isRight, expected, found }: { readonly isRight: boolean; readonly expected: string; readonly found: string },
): void {
  if (!isRight) throw new SellerSettingError(setting, { expected, found })
}

async function asked<T>(operation: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw new ChainUnavailableError(operation, { cause: error })
  }
}

/** Does not keep a process alive, and ends without an error when it is called off. */
async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }).catch(() => undefined)
}
