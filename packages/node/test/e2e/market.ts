import type { Devnet } from '@opg/devnet'
import {
  approvePermit2,
  createSession,
  createWorkOrder,
  fetchTeeKey,
  keyEvidence,
  memoryReceiptLog,
  nextPermit2Nonce,
  openBatch,
  openReceiptBook,
  readEscrow,
  signWorkOrder,
  teeEvidence,
  type EscrowInfo,
  type PreparedOrder,
  type Session,
} from '@opg/payer'
import { modelId, ZERO_BYTES32, type Address, type Hex, type SignedOrder, type Terms } from '@opg/protocol'
import type { Wallet } from 'ethers'
import { keccak256 } from 'ethers'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const MODEL = 'languages'
const REST_MS = 10
const MODEL_FILE = fileURLToPath(new URL('../../models/languages/languages.onnx', import.meta.url))

/** A node's key, enclave and settings on a devnet, and the escrow that its payers use. */
export interface Market {
  readonly devnet: Devnet
  readonly escrow: EscrowInfo
  readonly node: Wallet
  readonly facilitator: Wallet
  readonly teeId: Hex
  readonly environment: Readonly<Record<string, string>>
  readonly secrets: readonly string[]
  terms(judge: 'tee' | 'key'): Terms
  remove(): Promise<void>
}

export async function createMarket(devnet: Devnet): Promise<Market> {
  const { contracts, deployment, wallets } = devnet
  const [, node, facilitator] = wallets
  const folder = await mkdtemp(join(tmpdir(), 'opg-e2e-'))
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const der = publicKey.export({ type: 'spki', format: 'der' })
  await (await contracts.teeRegistry.connect(node).register(der, node.address, '', 0)).wait()
  const teeId = keccak256(der) as Hex
  await (await contracts.teeReceiptVerifier.connect(node).cacheKey(teeId)).wait()

  const [keyFile, teeKeyFile, deploymentFile] = ['node.key', 'tee.pem', 'deployment.json'].map((n) => join(folder, n))
  if (keyFile === undefined || teeKeyFile === undefined || deploymentFile === undefined) throw new TypeError('no files')
  await writeFile(keyFile, node.privateKey)
  await writeFile(teeKeyFile, pem)
  await writeFile(deploymentFile, JSON.stringify(deployment))
  const model = { kind: 'onnx', name: MODEL, file: MODEL_FILE, prices: { perRequest: '0.001', inputPerMillion: '3' } }
  return {
    devnet,
    escrow: await readEscrow(devnet.provider, deployment.escrow),
    node,
    facilitator,
    teeId,
    environment: {
      OPG_NODE_RPC_URL: devnet.rpcUrl,
      OPG_NODE_DEPLOYMENT_FILE: deploymentFile,
      OPG_NODE_PRIVATE_KEY_FILE: keyFile,
      OPG_NODE_TEE_KEY_FILE: teeKeyFile,
      OPG_NODE_DB: join(folder, 'node.sqlite'),
      OPG_NODE_MODELS: JSON.stringify([model]),
      // As often as it can: so that kills meet settlements at every step.
      OPG_NODE_SETTLE_INTERVAL_SECONDS: '1',
      OPG_NODE_SETTLE_FEES_OVER_GAS: '0',
      OPG_NODE_SETTLE_MAX_AGE_SECONDS: '0',
      // What a killed process held is free again soon: so that the next kill meets a node that settles.
      OPG_NODE_LEASE_SECONDS: '2',
    },
    secrets: [node.privateKey.slice(2), ...pem.split('\n').filter((line) => line.length > 40)],
    terms: (judge) => ({
      node: node.address as Address,
      facilitator: facilitator.address as Address,
      facilitatorBps: 150,
      verifier: judge === 'tee' ? (deployment.teeReceiptVerifier ?? deployment.escrow) : deployment.keyReceiptVerifier,
      evidenceKey: judge === 'tee' ? teeId : ZERO_BYTES32,
      modelId: modelId({ registrant: node.address as Address, name: MODEL }),
    }),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

export interface Buyer {
  readonly payer: Wallet
  readonly prepared: PreparedOrder
}

/** Every payer signs once for each of its orders; the facilitator opens all of them. */
export async function openOrders(
  market: Market,
  options: { readonly payers: readonly Wallet[]; readonly terms: Terms; readonly amount: bigint },
): Promise<readonly Buyer[]> {
  const { devnet, escrow, facilitator } = market
  const { payers, terms, amount } = options
  const buyers: Buyer[] = []
  const signedOrders: SignedOrder[] = []
  for (const payer of payers) {
    const address = payer.address as Address
    await devnet.mint(address, amount)
    await approvePermit2(payer, { token: escrow.token })
    const inFlight = buyers.filter((buyer) => buyer.payer === payer).map(({ prepared }) => prepared.order.nonce)
    const now = await devnet.now()
    const nonce = await nextPermit2Nonce(devnet.provider, { payer: address, inFlight })
    const prepared = createWorkOrder({ escrow, terms, payer: address, amount, nonce, claimBy: now + 86_400, now })
    signedOrders.push(await signWorkOrder(payer, prepared))
    buyers.push({ payer, prepared })
  }
  const opening = await openBatch(facilitator, { escrow, terms, signedOrders })
  if (opening.status !== 'sent' || opening.orders.some(({ status }) => status !== 'opened')) {
    throw new TypeError('not every order opened')
  }
  return buyers
}

/** A session that goes on trying while the node is away. */
export async function openSession(
  market: Market,
  options: {
    readonly buyer: Buyer
    readonly url: string
    /** Signs the requests; the payer where absent. */
    readonly requester?: Wallet
    readonly fetch?: typeof globalThis.fetch
  },
) {
  const { devnet, escrow, teeId } = market
  const { buyer, url } = options
  const { payer, prepared } = buyer
  const { terms, order } = prepared
  const evidence =
    terms.evidenceKey === teeId
      ? teeEvidence(terms, [
          await fetchTeeKey(devnet.provider, { registry: devnet.deployment.teeRegistry ?? escrow.escrow, teeId }),
        ])
      : keyEvidence(terms)
  const book = await openReceiptBook({ escrow, terms, order, evidence, log: memoryReceiptLog() })
  const now = (): number => Math.floor(Date.now() / 1_000)
  const http = { nodeUrl: url, fetch: options.fetch ?? fetch, attempts: 100, backoffMs: 50, timeoutMs: 10_000 }
  const opened = await createSession({ ...http, requester: options.requester ?? payer, book, now })
  if (opened.status === 'refused') throw new TypeError(`refused: ${opened.detail}`)
  return { session: opened.session, book, http }
}

export type OpenedSession = Awaited<ReturnType<typeof openSession>>

/** Buys until `isOver` says so, one request after the other, with a rest between. @returns how many answers it got */
export async function buyUntil(session: Session, isOver: () => boolean): Promise<number> {
  let answers = 0
  for (let i = 0; !isOver(); i++) {
    const answer = await session.infer({ model: MODEL, input: { text: `Wer zahlt, bevor er rechnet? ${String(i)}` } })
    if (answer.status === 'refused') throw new TypeError(`refused: ${answer.reason} ${answer.detail}`)
    answers += 1
    await sleep(REST_MS)
  }
  return answers
}
