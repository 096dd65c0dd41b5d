// The smallest complete agent: one signature locks money, one request is bought under it, the rest comes back.
import {
  approvePermit2,
  createSession,
  createWorkOrder,
  fileReceiptLog,
  keyEvidence,
  nextPermit2Nonce,
  openOrder,
  openReceiptBook,
  readEscrow,
  requestClose,
  signWorkOrder,
  watchOrder,
} from '@opg/payer'
import { formatOpg, parseAddress, parseOpg, ZERO_ADDRESS, ZERO_BYTES32, type Hex } from '@opg/protocol'
import { JsonRpcProvider, Wallet } from 'ethers'
import { readFile } from 'node:fs/promises'

const now = (): number => Math.floor(Date.now() / 1000)
const stop = (why: string): never => {
  throw new Error(why)
}
const setting = (name: string): string => process.env[name] ?? stop(`Set ${name}, see examples/README.md.`)

// 1. Who takes part. The node says who it is; which verifier is acceptable is the payer's own decision.
interface NodeInfo {
  readonly node: string
  readonly verifiers: readonly { readonly address: string }[]
  readonly models: readonly { readonly name: string; readonly modelId: Hex }[]
}
const provider = new JsonRpcProvider(setting('RPC_URL'), undefined, { cacheTimeout: -1 }) // no stale reads
const payer = new Wallet((await readFile(setting('PAYER_KEY_FILE'), 'utf8')).trim(), provider)
const nodeUrl = setting('NODE_URL')
const address = parseAddress(payer.address)
const escrow = await readEscrow(provider, parseAddress(setting('ESCROW'), 'ESCROW'))
const info = (await (await fetch(`${nodeUrl}/v1/info`)).json()) as NodeInfo
const model = info.models.find(({ name }) => name === 'languages') ?? stop('The node does not sell "languages".')
const verifier = escrow.escrow // the escrow judges receipts of a node's own key itself
if (!info.verifiers.some(({ address }) => address === verifier)) stop('The node takes other evidence than its own key.')

// 2. One approval for ever, and one signature for this order: up to 0.1 OPG, within an hour, for this node.
console.log('approval:', (await approvePermit2(payer, { token: escrow.token })).status)
const node = parseAddress(info.node, 'node')
const nobody = { facilitator: ZERO_ADDRESS, facilitatorBps: 0 }
const terms = { node, ...nobody, verifier, evidenceKey: ZERO_BYTES32, modelId: model.modelId }
const nonce = await nextPermit2Nonce(provider, { payer: address })
const times = { claimBy: now() + 3_600, now: now() }
const work = createWorkOrder({ escrow, terms, payer: address, amount: parseOpg('0.1'), nonce, ...times })
const opening = await openOrder(payer, { escrow, terms, signed: await signWorkOrder(payer, work) })
console.log('order:', opening.status, work.orderId)
if (opening.status === 'refused') stop(opening.detail)

// 3. Inference. Each receipt is verified against the key that the terms name, and kept.
const evidence = keyEvidence(terms)
const log = fileReceiptLog(`receipts-${work.orderId.slice(2, 10)}.jsonl`)
const book = await openReceiptBook({ escrow, terms, order: work.order, evidence, log })
const opened = await createSession({ nodeUrl, fetch, requester: payer, book, now })
if (opened.status === 'refused') throw new Error(opened.detail)
const answer = await opened.session.infer({ model: model.name, input: { text: 'Het geld staat al vast.' } })
if (answer.status === 'refused') throw new Error(answer.detail)
console.log('answer:', JSON.stringify(answer.json))
console.log('receipt:', answer.receipt.receipt, '\nsignature:', answer.receipt.signature.slice(0, 20), '…')

// 4. The rest comes back as soon as the node has settled; without the node's help, from claimBy on (`reclaim`).
const order = { escrow, terms, order: work.order }
await requestClose(payer, { ...order, nodeUrl, fetch, expiresAt: now() + 600 })
for await (const { status } of watchOrder(provider, { ...order, pollMs: 500 })) console.log('order:', status)
console.log(`spent ${formatOpg(book.spent)} of ${formatOpg(work.order.amount)} OPG; the rest is back`)
provider.destroy()
