import { startDevnet, type Devnet } from '@opg/devnet'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MaxUint256, Wallet } from 'ethers'
import { createNodeFiles, type NodeFiles } from '../cli/nodeFiles.js'
import { startStandInLlm, type StandInLlm } from '../standInLlm.js'
import { startFacilitator, type FacilitatorProcess } from './facilitatorProcess.js'

export const OPG = 10n ** 18n
export const CHAT = { model: 'chat', messages: [{ role: 'user', content: 'hi' }], max_tokens: 100 }
export const TEXT = { model: 'languages', input: { text: 'Where is the station?' } }

/** A chain, a facilitator and an LLM, and what a node needs to sell over x402. No node runs yet. */
export interface Shop {
  readonly devnet: Devnet
  readonly llm: StandInLlm
  readonly facilitator: FacilitatorProcess
  readonly files: NodeFiles
  readonly folder: string
  /** For the node's command. */
  readonly environment: Readonly<Record<string, string>>
  /** A new payer with one OPG that has approved Permit2, as clients of x402 do once. */
  payer(): Promise<Wallet>
  /** Base units. */
  balance(of: string): Promise<bigint>
  /** Whether an order is closed on chain. */
  isClosed(orderId: string): Promise<boolean>
  /** Ids of the orders of a payer that were opened, the last one first. There is one at least. */
  ordersOf(payer: string): Promise<readonly [string, ...string[]]>
  stop(): Promise<void>
}

export async function openShop(): Promise<Shop> {
  const devnet = await startDevnet()
  const llm = await startStandInLlm()
  const folder = await mkdtemp(join(tmpdir(), 'opg-x402-'))
  const [minter, node, , , key] = devnet.wallets
  const facilitator = await startFacilitator(devnet, { folder, key })
  const files = await createNodeFiles(devnet, { node, upstreamUrl: llm.baseUrl })
  const { token, escrow } = devnet.contracts
  return {
    devnet,
    llm,
    facilitator,
    files,
    folder,
    environment: {
      ...files.environment,
      OPG_NODE_FACILITATOR_URL: facilitator.url,
      OPG_NODE_FACILITATOR_TIMEOUT_SECONDS: '3',
      OPG_NODE_SETTLE_INTERVAL_SECONDS: '1',
      OPG_NODE_LEASE_SECONDS: '2',
    },
    payer: async () => {
      const payer = new Wallet(Wallet.createRandom().privateKey, devnet.provider)
      await (await minter.sendTransaction({ to: payer.address, value: OPG })).wait()
      await devnet.mint(payer.address, OPG)
      await (await token.connect(payer).approve(devnet.deployment.permit2, MaxUint256)).wait()
      return payer
    },
    balance: (of) => token.balanceOf(of),
    isClosed: async (orderId) => (await escrow.orders(orderId)).closed,
    ordersOf: async (payer) => {
      const opened = await escrow.queryFilter(escrow.filters.OrderOpened(undefined, payer))
      const [last, ...others] = opened.map(({ args }) => args.orderId).reverse()
      if (last === undefined) throw new TypeError('no order was opened')
      return [last, ...others]
    },
    stop: async () => {
      await facilitator.stop()
      await llm.close()
      await devnet.stop()
      await files.remove()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50))
}
