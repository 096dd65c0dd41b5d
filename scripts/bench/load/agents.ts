import { payFetch, type PayingFetch } from '@opg/x402'
import type { Devnet } from '@opg/devnet'
import { waitForReceipt } from '@opg/payer'
import { parseSettledExtra } from '@opg/protocol'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { MaxUint256, toQuantity, type TransactionResponse, Wallet } from 'ethers'
import { inferBody } from '../../demo/sentences.js'

const OPG = 10n ** 18n
const AT_ONCE = 50

/** An agent of its own money and keys. */
export interface Agent {
  readonly pay: PayingFetch
}

/** What one run of all agents gave. */
export interface Traffic {
  /** Milliseconds, one for each answer. */
  readonly paidMs: number[]
  readonly bareMs: number[]
  /** Base units that receipts say, by order. */
  readonly billed: Map<string, bigint>
  readonly failures: Map<string, number>
}

/** Agents that own OPG and approved Permit2. */
export async function createAgents(devnet: Devnet, count: number): Promise<readonly Agent[]> {
  const { provider, deployment, contracts } = devnet
  const wallets = Array.from({ length: count }, () => new Wallet(Wallet.createRandom().privateKey, provider))
  const [minter] = devnet.wallets
  let nonce = await minter.getNonce()
  for (let from = 0; from < count; from += AT_ONCE) {
    const group = wallets.slice(from, from + AT_ONCE)
    const sent: TransactionResponse[] = []
    for (const { address } of group) {
      sent.push(await contracts.token.mint(address, 10n * OPG, { nonce: nonce++ }))
      await provider.send('anvil_setBalance', [address, toQuantity(OPG)])
    }
    const approving = group.map((wallet) => contracts.token.connect(wallet).approve(deployment.permit2, MaxUint256))
    for (const one of [...sent, ...(await Promise.all(approving))]) await waitForReceipt(one)
  }
  return wallets.map((wallet) => ({
    pay: payFetch(wallet, {
      rpcUrl: provider,
      escrow: deployment.escrow,
      maxPerDay: '10',
      sessionAmount: '2',
    }),
  }))
}

/** Each agent asks in turn the node, which is paid, and the bare handler, until the time is over. */
export async function run(
  agents: readonly Agent[],
  input: {
    readonly nodeUrl: string
    readonly bareUrl: string
    /** Paid requests a second, of all agents together. */
    readonly rate: number
    readonly seconds: number
  },
): Promise<Traffic> {
  const traffic: Traffic = { paidMs: [], bareMs: [], billed: new Map(), failures: new Map() }
  const end = performance.now() + input.seconds * 1000
  const meanPauseMs = (agents.length / input.rate) * 1000
  await Promise.all(
    agents.map(async ({ pay }, number) => {
      // Agents do not start at once: their first calls open orders, and those are no steady load.
      await pause((number / agents.length) * meanPauseMs)
      for (let index = number; performance.now() < end; index += agents.length) {
        const started = performance.now()
        await ask(traffic, { pay, index, ...input })
        const left = 2 * Math.random() * meanPauseMs - (performance.now() - started)
        if (left > 0) await pause(Math.min(left, Math.max(0, end - performance.now())))
      }
    }),
  )
  return traffic
}

async function ask(
  traffic: Traffic,
  input: { readonly pay: PayingFetch; readonly index: number; readonly nodeUrl: string; readonly bareUrl: string },
): Promise<void> {
  const init = {
    method: 'POST',
    body: Buffer.from(inferBody(input.index)),
    headers: { 'content-type': 'application/json' },
  }
  try {
    const bare = await timed(() => fetch(`${input.bareUrl}/v1/infer`, init))
    const paid = await timed(() => input.pay(`${input.nodeUrl}/v1/infer`, init))
    if (!bare.response.ok || !paid.response.ok) {
      throw new TypeError(`status ${String(bare.response.status)}, ${String(paid.response.status)}`)
    }
    const header = paid.response.headers.get('payment-response')
    const { orderId, receipt } = parseSettledExtra(decodePaymentResponseHeader(header ?? '').extra?.opg)
    if (receipt === undefined) throw new TypeError('an answer without a receipt')
    traffic.billed.set(orderId, (traffic.billed.get(orderId) ?? 0n) + receipt.receipt.fee)
    traffic.bareMs.push(bare.ms)
    traffic.paidMs.push(paid.ms)
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 200) : 'unknown'
    traffic.failures.set(reason, (traffic.failures.get(reason) ?? 0) + 1)
  }
}

async function timed(call: () => Promise<Response>): Promise<{ readonly response: Response; readonly ms: number }> {
  const started = performance.now()
  const response = await call()
  await response.clone().arrayBuffer()
  return { response, ms: performance.now() - started }
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}
