import { DeploymentUnknownError, InferenceEscrow__factory, deploymentOf, type Deployment } from '@opg/bindings'
import {
  SILENT,
  connectProvider,
  openEscrowReader,
  type Clock,
  type EscrowReader,
  type Logger,
  type RandomBytes,
  type Sleep,
  type VerifierOptions,
} from '@opg/node'
import { SPONSORED_APPROVAL, type Hex, type Terms } from '@opg/protocol'
import { HTTPFacilitatorClient, x402ResourceServer, type FacilitatorClient, type RouteConfig } from '@x402/core/server'
import type { PaymentPayload, Price, SchemeNetworkServer } from '@x402/core/types'
import type { JsonRpcProvider, Signer } from 'ethers'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { claimCredit } from './claim.js'
import { directSettling, type DirectSettling } from './direct.js'
import { SellerSettingError } from './errors.js'
import { evidenceFor, wordOfNode } from './evidence.js'
import { inTurn, type InTurn } from './inTurn.js'
import { addressOf, signWith, type NodeSigner } from './nodeKey.js'
import type { Offered } from './offered.js'
import { openOutbox } from './outbox.js'
import { memoryOutbox, type OutboxStore } from './outboxStore.js'
import { asked, check, extraOf, offerOf } from './offer.js'
import { release } from './receipt.js'
import { rawBody, type ReadBody } from '../rawRequest.js'
import { Sales, type SaleLimits } from './sales.js'
import { checkRoute, checkSender, checkSettings } from './settings.js'
import { sellersVerifier } from './sellersVerifier.js'
import { uptoServer } from './uptoServer.js'

export interface EscrowUptoOptions {
  /** The node's key: fees go to its account, and by itself its word is the evidence. A wallet of ethers, or what signs like one. */
  readonly signer: NodeSigner
  /** The chain, as a URL or a connection. */
  readonly rpc: string | JsonRpcProvider
  /** Who opens and captures, as a URL or a client. */
  readonly facilitator: string | FacilitatorClient
  /**
   * What judges the evidence, and what convinces it: `kind` `tee` (an enclave's key) or `quorum` (validators who are asked
   * at each capture), as a node takes them. The KeyReceiptVerifier and `signer`'s word, if absent.
   */
  readonly verifier?: VerifierOptions
  /** What differs from the plain terms: this node, what its evidence is pinned by, no facilitator's share, no model. */
  readonly terms?: Partial<Terms>
  /** Seconds that are left to answer and capture after the last moment at which a payment can be locked; 3,600. */
  readonly claimWindow?: number
  /** Where the contracts are; as recorded for the chain. A manifest is read by `parseDeployment` of `@opg/protocol`. */
  readonly deployment?: Deployment
  /** Where captures wait for the facilitator; in memory, which a killed process loses. See `fileOutbox`. */
  readonly outbox?: OutboxStore
  /**
   * Brings fees to the chain by an account of its own, which pays the gas, where the facilitator has not by so many seconds
   * before `claimBy` (900). The account may send nothing else meanwhile.
   */
  readonly direct?: { readonly signer: Signer; readonly secondsBeforeClaimBy?: number }
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
  /** A route for the stock middleware, at most so dear: `"0.01 OPG"`. @throws {SellerSettingError} */
  route(price: Price, options?: Omit<RouteConfig, 'accepts'> & { readonly maxTimeoutSeconds?: number }): RouteConfig
  /** How long the answer to a payment may take from now on, in milliseconds; 0 where nothing is locked for it. */
  remainingMs(payment: PaymentPayload): number
  /** Orders that the facilitator still has to take, and those that are locked now; with `direct`, fees that the chain lacks too. */
  readonly outboxSize: number
  /**
   * Brings all fees that wait for the facilitator to the chain now. Returns the orders of which it does not show so yet.
   *
   * @throws {SellerSettingError} without the option `direct`
   */
  settleDirectly(): Promise<readonly Hex[]>
  /** What the node has earned and not claimed yet, in base units: fees less the shares of others. */
  credits(): Promise<bigint>
  /**
   * Pays the credits out to the node's own address. Returns how much that was, in base units.
   *
   * @param sender pays the gas, whoever it is; the account of `direct`, if absent
   * @throws {SellerSettingError} where there is neither
   */
  claim(sender?: Signer): Promise<bigint>
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
const DEFAULT_DIRECT_SECONDS = 900
const ASK_TIMEOUT_MS = 30_000

/**
 * Sells over stock x402 `upto`: the money is locked in the escrow before the handler runs, and the fee is taken after it.
 *
 * @throws {SellerSettingError} {@link KeyUnusableError} {@link ChainUnavailableError} {@link WrongChainError}
 */
export async function escrowUpto(options: EscrowUptoOptions): Promise<EscrowUpto> {
  checkSettings(options)
  const { signer, logger = SILENT, now = Date.now, confirmations = 1 } = options
  const sleep: Sleep = options.sleep ?? pause
  const limits = { ...DEFAULT_SALE_LIMITS, ...options.limits }
  const provider = typeof options.rpc === 'string' ? await connectProvider(options.rpc) : options.rpc
  const deployment =
    options.deployment ?? recordedFor((await asked('eth_chainId', () => provider.getNetwork())).chainId)
  const reader = await openEscrowReader({ provider, escrow: deployment.escrow, confirmations })
  const node = await addressOf(signer)
  const verifier = await sellersVerifier(options.verifier, { provider, deployment, node, logger })
  const offer = offerOf(node, { ...options, deployment, verifier })
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
  const evidence = verifier === undefined ? wordOfNode(offered, sign) : evidenceFor(offered, verifier)
  const turns = inTurn()
  const direct = directFor(options.direct, { offered, provider, reader, turns })
  const outbox = await openOutbox({
    store: options.outbox ?? memoryOutbox(),
    facilitator,
    direct,
    release: (orderId) => release(orderId, evidence),
    now,
    sleep,
    logger,
    askTimeoutMs: ASK_TIMEOUT_MS,
  })
  const sales = new Sales({
    offered,
    sign,
    evidence,
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
    route: (price, { maxTimeoutSeconds, ...route } = {}) => {
      checkRoute({ price, maxTimeoutSeconds }, offered.token)
      return {
        ...route,
        extensions: { ...(offered.extra.name === undefined ? {} : SPONSORED_APPROVAL), ...route.extensions },
        accepts: {
          scheme: 'upto',
          network: offered.network,
          payTo: escrow,
          price,
          ...(maxTimeoutSeconds === undefined ? {} : { maxTimeoutSeconds }),
        },
      }
    },
    remainingMs: (payment) => sales.remainingMs(payment),
    get outboxSize() {
      return outbox.size
    },
    settleDirectly: async () => {
      check('direct', { isRight: direct !== undefined, expected: 'set, with a signer that pays gas', found: 'absent' })
      return await outbox.settleDirectly()
    },
    credits: () => asked('credits', () => InferenceEscrow__factory.connect(escrow, provider).credits(node)),
    claim: async (sender = options.direct?.signer) => {
      checkSender('sender', sender)
      return await turns(() => claimCredit(offered, connectedTo(provider, sender)))
    },
    close: async () => {
      await outbox.close()
      if (typeof options.rpc === 'string') provider.destroy()
    },
  }
}

function directFor(
  direct: EscrowUptoOptions['direct'],
  parts: {
    readonly offered: Offered
    readonly provider: JsonRpcProvider
    readonly reader: EscrowReader
    readonly turns: InTurn
  },
): DirectSettling | undefined {
  if (direct === undefined) return undefined
  const { signer, secondsBeforeClaimBy = DEFAULT_DIRECT_SECONDS } = direct
  const { offered, provider, reader, turns } = parts
  const { claimWindow } = offered.offer
  check('direct.secondsBeforeClaimBy', {
    isRight: secondsBeforeClaimBy > 0 && secondsBeforeClaimBy < claimWindow,
    expected: `above 0 and below claimWindow, ${String(claimWindow)}`,
    found: String(secondsBeforeClaimBy),
  })
  const dueMs = secondsBeforeClaimBy * 1_000
  return directSettling(offered, { signer: connectedTo(provider, signer), reader, dueMs, inTurn: turns })
}

function connectedTo(provider: JsonRpcProvider, signer: Signer): Signer {
  return signer.provider === null ? signer.connect(provider) : signer
}

function recordedFor(chainId: bigint): Deployment {
  try {
    return deploymentOf(chainId)
  } catch (error) {
    if (!(error instanceof DeploymentUnknownError)) throw error
    throw new SellerSettingError('deployment', {
      expected: `the contracts of chain ${chainId.toString()}, for which none are recorded: parseDeployment (@opg/protocol) of the manifest deployments/${chainId.toString()}.json that the deployment wrote`,
      found: 'absent',
    })
  }
}

function clientOf(facilitator: string | FacilitatorClient, { lockTimeoutMs }: SaleLimits): FacilitatorClient {
  if (typeof facilitator !== 'string') return facilitator
  return new HTTPFacilitatorClient({ url: facilitator, timeoutMs: Math.max(lockTimeoutMs, ASK_TIMEOUT_MS) })
}

/** Does not keep a process alive, and ends without an error when it is called off. */
async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }).catch(() => undefined)
}
