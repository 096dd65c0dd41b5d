import type { Devnet } from '@opg/devnet'
import {
  approvePermit2,
  createGatewayOrder,
  createSession,
  createWorkOrder,
  fetchTeeKey,
  gatewayEvidence,
  memoryReceiptLog,
  nextPermit2Nonce,
  openOrder,
  openReceiptBook,
  readEscrow,
  signWorkOrder,
  type EscrowInfo,
  type PreparedOrder,
  type Session,
  type TeeKey,
} from '@opg/payer'
import {
  encodeRequestHeader,
  modelId,
  REQUEST_HEADER,
  requestHash,
  typedData,
  ZERO_ADDRESS,
  type Address,
  type GatewayRequest,
  type Hex,
  type Terms,
} from '@opg/protocol'
import type { Wallet } from 'ethers'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gatewayIdentity, type GatewayIdentity } from '../standInGateway.js'
import { startStandInLlm, type StandInLlm } from '../standInLlm.js'

export const GATEWAY_MODEL = 'gpt-small'
/** Base units: more than the dearest request of these tests may cost. */
export const PRICE = 10n ** 16n
export const CHAT = '/v1/chat/completions'
const FUNDS = 1_000n * PRICE
/** One for all, so that the same request asked for twice is the same. */
const EXPIRES_AT = Math.floor(Date.now() / 1_000) + 3_600

/** A node in front of a gateway, and who buys there. */
export interface GatewayMarket {
  readonly devnet: Devnet
  readonly escrow: EscrowInfo
  readonly node: Wallet
  readonly payer: Wallet
  readonly upstream: StandInLlm
  readonly gateway: GatewayIdentity
  /** Enabled, too, but not the one that the node has. */
  readonly otherGateway: GatewayIdentity
  readonly key: TeeKey
  readonly terms: Terms
  readonly environment: Readonly<Record<string, string>>
  /** Makes an order for one request, and opens it. */
  open(request: GatewayRequest): Promise<{ readonly work: PreparedOrder; readonly request: GatewayRequest }>
  /** Opens an order that pins this hash, whatever it is of. */
  openPinned(requestHash: Hex | undefined): Promise<PreparedOrder>
  /** Hands an order to a node. @throws {TypeError} with the node's code */
  session(url: string, work: PreparedOrder): Promise<Session>
  /**
   * Sends a request to a node, signed by the payer and checked by nobody on its side.
   *
   * @param body its bytes as text
   */
  ask(
    url: string,
    work: PreparedOrder,
    input: { readonly body: string; readonly index?: bigint; readonly maxFee?: bigint; readonly sent?: string },
  ): Promise<Response>
  remove(): Promise<void>
}

export async function createGatewayMarket(devnet: Devnet): Promise<GatewayMarket> {
  const { contracts, deployment, wallets, provider } = devnet
  const [, node, payer] = wallets
  const [upstream, gateway, otherGateway] = [await startStandInLlm(), gatewayIdentity(), gatewayIdentity()]
  const registry = contracts.teeRegistry
  for (const { der } of [gateway, otherGateway]) await (await registry.register(der, ZERO_ADDRESS, '', 0)).wait()
  const escrow = await readEscrow(provider, deployment.escrow)
  await devnet.mint(payer.address, FUNDS)
  await approvePermit2(payer, { token: escrow.token })

  const folder = await mkdtemp(join(tmpdir(), 'opg-gateway-'))
  const [keyFile, deploymentFile] = [join(folder, 'node.key'), join(folder, 'deployment.json')]
  await writeFile(keyFile, node.privateKey)
  await writeFile(deploymentFile, JSON.stringify(deployment))
  const model = {
    kind: 'openai',
    name: GATEWAY_MODEL,
    baseUrl: upstream.baseUrl,
    gatewayTeeIds: [gateway.teeId],
    prices: { perRequest: '0.001', outputPerMillion: '2' },
    defaultOutputTokens: 50,
    idleTimeoutSeconds: 2,
  }
  const terms = {
    node: node.address as Address,
    facilitator: ZERO_ADDRESS,
    facilitatorBps: 0,
    verifier: deployment.gatewayReceiptVerifier ?? ZERO_ADDRESS,
    evidenceKey: gateway.teeId,
    modelId: modelId({ registrant: node.address as Address, name: GATEWAY_MODEL }),
  }
  const inFlight: bigint[] = []

  async function ground() {
    const now = await devnet.now()
    const nonce = await nextPermit2Nonce(provider, { payer: payer.address as Address, inFlight })
    return { escrow, terms, payer: payer.address as Address, amount: PRICE, nonce, claimBy: now + 86_400, now }
  }
  async function opened(work: PreparedOrder): Promise<void> {
    const opening = await openOrder(node, { escrow, terms, signed: await signWorkOrder(payer, work) })
    if (opening.status !== 'opened') throw new TypeError(`the order is ${opening.status}`)
  }

  return {
    devnet,
    escrow,
    node,
    payer,
    upstream,
    gateway,
    otherGateway,
    key: await fetchTeeKey(provider, { registry: deployment.teeRegistry ?? ZERO_ADDRESS, teeId: gateway.teeId }),
    terms,
    environment: {
      OPG_NODE_RPC_URL: devnet.rpcUrl,
      OPG_NODE_DEPLOYMENT_FILE: deploymentFile,
      OPG_NODE_PRIVATE_KEY_FILE: keyFile,
      OPG_NODE_DB: join(folder, 'node.sqlite'),
      OPG_NODE_MODELS: JSON.stringify([model]),
      OPG_NODE_PORT: '0',
      OPG_NODE_LEASE_SECONDS: '2',
      // Settling is left to the command, so that tests decide when.
      OPG_NODE_SETTLE_INTERVAL_SECONDS: '3600',
    },
    open: async (request) => {
      const order = createGatewayOrder({ ...(await ground()), request })
      await opened(order.work)
      return order
    },
    openPinned: async (requestHash) => {
      const work = createWorkOrder({ ...(await ground()), ...(requestHash === undefined ? {} : { requestHash }) })
      await opened(work)
      return work
    },
    session: async (nodeUrl, { terms: signed, order }) => {
      const evidence = gatewayEvidence(signed)
      const book = await openReceiptBook({ escrow, terms: signed, order, evidence, log: memoryReceiptLog() })
      const now = (): number => Math.floor(Date.now() / 1_000)
      const opening = await createSession({ nodeUrl, fetch, requester: payer, book, now, backoffMs: 20 })
      if (opening.status === 'refused') throw new TypeError(opening.reason)
      return opening.session
    },
    ask: async (url, { orderId }, { body, index = 0n, maxFee = PRICE, sent = body }) => {
      const request = {
        orderId,
        node: terms.node,
        index,
        requestHash: requestHash(CHAT, Buffer.from(body)),
        maxFee,
        expiresAt: EXPIRES_AT,
      }
      const data = typedData(escrow, { name: 'InferenceRequest', value: request })
      const signature = (await payer.signTypedData(data.domain, data.types, data.message)) as Hex
      const headers = {
        'content-type': 'application/json',
        [REQUEST_HEADER]: encodeRequestHeader({ request, signature }),
      }
      return fetch(`${url}${CHAT}`, { method: 'POST', headers, body: sent })
    },
    remove: async () => {
      await upstream.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
