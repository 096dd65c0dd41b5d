import { startDevnet, type Devnet } from '@opg/devnet'
import type { LogFields, Logger } from '@opg/node'
import { approvePermit2 } from '@opg/payer'
import { ZERO_BYTES32, parseSettledExtra, type Hex, type SettledExtra } from '@opg/protocol'
import type { PaymentPayload, PaymentRequired, SettleResponse } from '@x402/core/types'
import { UptoEvmScheme } from '@x402/evm/upto/client'
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client, x402HTTPClient } from '@x402/fetch'
import { getRequestListener } from '@hono/node-server'
import type { Wallet } from 'ethers'
import type { Hono } from 'hono'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { escrowUpto, type EscrowUpto, type EscrowUptoOptions } from '../../../src/index.js'
import { startFacilitator, type RunningFacilitator } from './facilitator.js'
import { startLine, type Line } from './line.js'

export const OPG = 10n ** 18n
/** Tests wait so long for what must come, and for nothing else. */
const PATIENCE_MS = 60_000

export interface Money {
  readonly payer: bigint
  readonly held: bigint
  readonly earned: bigint
}

/** A chain, a facilitator behind a line that can break, and stock buyers. */
export class SellWorld {
  readonly devnet: Devnet
  readonly directory: string
  readonly line: Line
  readonly node: Wallet
  readonly payer: Wallet
  readonly logged: string[] = []
  facilitator: RunningFacilitator
  readonly #ends: (() => Promise<void>)[] = []

  private constructor(parts: {
    readonly devnet: Devnet
    readonly directory: string
    readonly facilitator: RunningFacilitator
    readonly line: Line
  }) {
    this.devnet = parts.devnet
    this.directory = parts.directory
    this.facilitator = parts.facilitator
    this.line = parts.line
    this.node = parts.devnet.wallets[1]
    this.payer = parts.devnet.wallets[2]
  }

  static async start(): Promise<SellWorld> {
    const devnet = await startDevnet()
    const directory = await mkdtemp(join(tmpdir(), 'opg-sell-'))
    const facilitator = await startFacilitator(devnet, join(directory, 'books.db'))
    const world = new SellWorld({ devnet, directory, facilitator, line: await startLine(facilitator.url) })
    await devnet.mint(world.payer.address, 1_000n * OPG)
    await approvePermit2(world.payer, { token: devnet.deployment.token })
    return world
  }

  async stop(): Promise<void> {
    await this.stopSellers()
    await this.line.stop()
    await this.facilitator.stop()
    await this.devnet.stop()
    await rm(this.directory, { recursive: true })
  }

  /** Ends servers and sellers that tests started. */
  async stopSellers(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
  }

  async seller(options: Partial<EscrowUptoOptions> = {}): Promise<EscrowUpto> {
    const seller = await escrowUpto({
      signer: this.node,
      rpc: this.devnet.provider,
      facilitator: this.line.url,
      deployment: this.devnet.deployment,
      logger: this.logger,
      limits: { lockTimeoutMs: 5_000, confirmTimeoutMs: 3_000, captureWaitMs: 3_000 },
      ...options,
    })
    this.#ends.push(() => seller.close())
    return seller
  }

  /** Serves an app until the test is over. */
  async serve(app: RequestListener | Hono): Promise<string> {
    const server: Server = createServer(typeof app === 'function' ? app : getRequestListener(app.fetch))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    this.#ends.push(async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
    return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
  }

  get client(): x402Client {
    return this.clientOf(this.payer)
  }

  /** An unmodified x402 client that pays from a wallet. */
  clientOf(wallet: Wallet): x402Client {
    const { address } = wallet
    const network = `eip155:${String(this.devnet.chainId)}` as const
    const client = new UptoEvmScheme(
      {
        address: address as Hex,
        signTypedData: async ({ domain, types, message }) => {
          const { EIP712Domain: _, ...rest } = types as Record<string, { name: string; type: string }[]>
          return (await wallet.signTypedData(domain, rest, message)) as Hex
        },
      },
      { rpcUrl: this.devnet.rpcUrl },
    )
    const allowedAssets = [{ network, asset: this.devnet.deployment.token }]
    return x402Client.fromConfig({ schemes: [{ network, client }], spendControls: { allowedAssets } })
  }

  /** An unmodified `@x402/fetch`, with an unmodified client of `upto`. */
  get payFetch(): typeof fetch {
    return wrapFetchWithPayment(fetch, this.client)
  }

  /** A payment for a route, signed and not sent. */
  async sign(url: string, init: RequestInit = {}): Promise<PaymentPayload> {
    return await this.client.createPaymentPayload(await paymentRequired(await fetch(url, init)))
  }

  /** Sends a payment, whatever was done to it. */
  async send(url: string, payment: PaymentPayload, init: RequestInit = {}): Promise<Response> {
    const headers = new x402HTTPClient(this.client).encodePaymentSignatureHeader(payment)
    return await fetch(url, { ...init, headers: { ...(init.headers as Record<string, string>), ...headers } })
  }

  /** Who has what: in base units. */
  async money(): Promise<Money> {
    const { token, escrow } = this.devnet.contracts
    const [payer, held, earned] = await Promise.all([
      token.balanceOf(this.payer.address),
      token.balanceOf(await escrow.getAddress()),
      escrow.credits(this.node.address),
    ])
    return { payer, held, earned }
  }

  /** Waits until payers have what they had, and nothing is locked that was not before. */
  async untilGivenBack(before: Money): Promise<void> {
    await until(async () => (await this.money()).payer === before.payer, 'the payer has its money back')
    expect(await this.money()).toEqual(before)
  }

  /** Waits until one order was captured: the payer paid `fee` and no more, and the node has its part. */
  async untilPaid(before: Money, fee: bigint): Promise<void> {
    await until(async () => (await this.money()).earned > before.earned, 'the node was paid')
    const after = await this.money()
    expect(before.payer - after.payer).toBe(fee)
    // A devnet's network takes 500 basis points.
    expect(after.earned - before.earned).toBe(fee - (fee * 500n) / 10_000n)
  }

  /** Waits until every order that was ever opened is closed: captured, released or reclaimed. */
  async untilAllClosed(): Promise<void> {
    const { escrow } = this.devnet.contracts
    const events = await escrow.queryFilter(escrow.filters.OrderOpened(), 0)
    for (const { args } of events) {
      await until(async () => (await escrow.orders(args.orderId)).closed, `order ${args.orderId} is closed`)
    }
  }

  /** Orders that were ever opened. */
  async opened(): Promise<number> {
    const { escrow } = this.devnet.contracts
    return (await escrow.queryFilter(escrow.filters.OrderOpened(), 0)).length
  }

  async order(orderId: Hex): Promise<'missing' | 'open' | 'closed'> {
    const { openedAt, closed } = await this.devnet.contracts.escrow.orders(orderId)
    return openedAt === 0n ? 'missing' : closed ? 'closed' : 'open'
  }

  get logger(): Logger {
    const keep = (fields: LogFields, message: string): void => {
      this.logged.push(JSON.stringify({ message, ...fields }))
    }
    return { info: keep, warn: keep, error: keep }
  }
}

/** What a paid answer says of its payment. */
export function settled(response: Response): { readonly response: SettleResponse; readonly opg: SettledExtra } {
  const header = response.headers.get('payment-response')
  if (header === null) throw new Error(`no PAYMENT-RESPONSE with status ${String(response.status)}`)
  const decoded = decodePaymentResponseHeader(header)
  return { response: decoded, opg: parseSettledExtra(decoded.extra?.opg ?? { orderId: ZERO_BYTES32, state: 'queued' }) }
}

/** Why a payment was not taken. */
export function refusal(response: Response): string | undefined {
  const header = response.headers.get('payment-response')
  return header === null ? undefined : decodePaymentResponseHeader(header).errorReason
}

export async function paymentRequired(response: Response): Promise<PaymentRequired> {
  const body: unknown = await response.json().catch(() => undefined)
  return new x402HTTPClient(new x402Client()).getPaymentRequiredResponse((name) => response.headers.get(name), body)
}

/** Waits until something holds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + PATIENCE_MS
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`)
    await wait(20)
  }
}
