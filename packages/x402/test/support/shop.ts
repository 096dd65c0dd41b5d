import { startDevnet, type Devnet } from '@opg/devnet'
import { type PaymentNode, SILENT, type VerifierOptions, ecdsaSigner, openNode } from '@opg/node'
import { approvePermit2, readEscrow } from '@opg/payer'
import { type Address, type Hex, type Terms, ZERO_ADDRESS, ZERO_BYTES32, parseAddress, parseOpg } from '@opg/protocol'
import { paymentMiddleware, setSettlementOverrides, x402ResourceServer } from '@x402/express'
import type { Wallet } from 'ethers'
import express, { type Express, type Request, type Response } from 'express'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RpcProxy } from './rpcProxy.js'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  LocalFacilitator,
  type OrderOpener,
  type PayFetchOptions,
  honestStatus,
  ownOpener,
  workOrderServer,
} from '../../src/index.js'

export const MODEL_ID: Hex = `0x${'4d'.repeat(32)}`
export const PRICE = '0.05'
export const FEE = parseOpg('0.01')
export const PATH = '/v1/answers'
/** A handler there has one second. */
export const HASTY_PATH = '/v1/hasty'

export type OpenerFor = (shop: {
  readonly devnet: Devnet
  readonly folder: string
  readonly node: PaymentNode
}) => Promise<OrderOpener>

/** A chain, a payer, and a seller that runs express with the stock middleware. */
export class Shop {
  readonly devnet: Devnet
  readonly folder: string
  readonly node: PaymentNode
  readonly facilitator: LocalFacilitator
  /** What the seller's node sees of the chain. */
  readonly rpc: RpcProxy
  readonly app: Express
  readonly #servers: Server[] = []
  readonly #stop = new AbortController()
  /** What the handler was asked, in order. */
  readonly handled: string[] = []
  /** Orders that the seller was asked to open. */
  readonly openings: Hex[] = []
  /** Takes over the handler. */
  handler: ((request: Request, response: Response) => void | Promise<void>) | undefined

  private constructor(input: {
    readonly devnet: Devnet
    readonly folder: string
    readonly node: PaymentNode
    readonly rpc: RpcProxy
    readonly open: OrderOpener
  }) {
    const { devnet, folder, node, rpc, open } = input
    this.devnet = devnet
    this.folder = folder
    this.node = node
    this.rpc = rpc
    const opener: OrderOpener = (wish) => {
      this.openings.push(wish.orderId)
      return open(wish)
    }
    this.facilitator = new LocalFacilitator({ node, opener, sleep, signer: node.node })
    this.app = this.#express(this.scheme)
    this.#servers.push(this.app.listen(0, '127.0.0.1'))
    void node.run({ signal: this.#stop.signal, settleIntervalMs: 100 })
  }

  /**
   * @param openerFor who opens orders; the seller itself if absent
   * @param verifiersOn what its node accepts besides the KeyReceiptVerifier
   */
  static async open(
    openerFor?: OpenerFor,
    verifiersOn: (devnet: Devnet) => readonly VerifierOptions[] | Promise<readonly VerifierOptions[]> = () => [],
  ): Promise<Shop> {
    const devnet = await startDevnet()
    const folder = await mkdtemp(join(tmpdir(), 'opg-shop-'))
    const [, seller, payer, opener] = devnet.wallets
    await devnet.mint(payer.address, parseOpg('1000'))
    await approvePermit2(payer, { token: devnet.deployment.token })
    const rpc = await RpcProxy.start(devnet.rpcUrl)
    const node = await openNode({
      rpc: rpc.url,
      escrow: devnet.deployment.escrow,
      nodeKey: seller.privateKey,
      verifiers: [
        { kind: 'key', address: devnet.deployment.keyReceiptVerifier, signer: ecdsaSigner(seller.privateKey) },
        ...(await verifiersOn(devnet)),
      ],
      databasePath: join(folder, 'node.db'),
      modelIds: [MODEL_ID],
      gate: { minSecondsToClaimBy: 600 },
      clock: Date.now,
      random: randomBytes,
      sleep: async (ms, signal) => {
        await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
      },
      logger: SILENT,
    })
    const escrow = await readEscrow(devnet.provider, devnet.deployment.escrow)
    const open = (await openerFor?.({ devnet, folder, node })) ?? ownOpener(opener, escrow)
    const shop = new Shop({ devnet, folder, node, rpc, open })
    await Promise.all(shop.#servers.map((server) => once(server, 'listening')))
    return shop
  }

  async close(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
    this.#stop.abort()
    await sleep(150)
    await this.node.close()
    await this.rpc.stop()
    await this.devnet.stop()
    await rm(this.folder, { recursive: true })
  }

  get origin(): string {
    return originOf(this.#servers[0])
  }

  get url(): string {
    return `${this.origin}${PATH}`
  }

  get payer(): Wallet {
    return this.devnet.wallets[2]
  }

  get terms(): Terms {
    return {
      node: this.node.node,
      facilitator: ZERO_ADDRESS,
      facilitatorBps: 0,
      verifier: this.devnet.deployment.keyReceiptVerifier,
      evidenceKey: ZERO_BYTES32,
      modelId: MODEL_ID,
    }
  }

  options(overrides: Partial<PayFetchOptions> = {}): PayFetchOptions {
    return {
      rpcUrl: this.devnet.rpcUrl,
      escrow: this.devnet.deployment.escrow,
      maxPerDay: '10',
      sessionAmount: '1',
      backoffMs: 20,
      ...overrides,
    }
  }

  async balanceOf(account: string): Promise<bigint> {
    return this.devnet.contracts.token.balanceOf(account)
  }

  /** Base units that the chain has credited to the seller. */
  earned(): Promise<bigint> {
    return this.node.chain.credits(this.node.node)
  }

  /** The scheme as it registers with a stock resource server. */
  get scheme(): ReturnType<typeof workOrderServer> {
    return this.#schemeOf({})
  }

  /** Sells on other terms besides. Returns where. */
  async sellOn(terms: Partial<Terms>, options: { readonly vouchers?: boolean } = {}): Promise<string> {
    const server = this.#express(this.#schemeOf(terms, options)).listen(0, '127.0.0.1')
    this.#servers.push(server)
    await once(server, 'listening')
    return `${originOf(server)}${PATH}`
  }

  #schemeOf(terms: Partial<Terms>, options: { readonly vouchers?: boolean } = {}): ReturnType<typeof workOrderServer> {
    return workOrderServer({
      facilitator: this.facilitator,
      token: this.devnet.deployment.token,
      terms: { ...this.terms, ...terms },
      minAmount: 1n,
      minSecondsToClaimBy: 600,
      vouchers: options.vouchers ?? false,
    })
  }

  #express(scheme: ReturnType<typeof workOrderServer>): Express {
    const { escrow } = this.devnet.deployment
    const network = this.facilitator.network
    const server = new x402ResourceServer(this.facilitator).register(network, scheme)
    const accepts = { scheme: 'work-order', network, payTo: escrow, price: PRICE, maxTimeoutSeconds: 30 }
    const app = express()
    app.use(express.raw({ type: () => true }))
    const routes = {
      [`POST ${PATH}`]: { accepts },
      [`POST ${HASTY_PATH}`]: { accepts: { ...accepts, maxTimeoutSeconds: 1 } },
    }
    app.use(paymentMiddleware(routes, server))
    app.use(honestStatus())
    app.post([PATH, HASTY_PATH], async (request, response) => {
      const asked = String(request.body)
      this.handled.push(asked)
      if (this.handler !== undefined) {
        await this.handler(request, response)
        return
      }
      setSettlementOverrides(response, { amount: FEE.toString() })
      response.json({ answer: asked })
    })
    return app
  }
}

function originOf(server: Server | undefined): string {
  return `http://127.0.0.1:${String((server?.address() as AddressInfo).port)}`
}

export function addressOf(wallet: Wallet): Address {
  return parseAddress(wallet.address)
}

export function asking(body: string, init: RequestInit = {}): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body, ...init }
}
