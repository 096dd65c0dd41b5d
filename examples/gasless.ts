// A payer that owns OPG and no gas: two signatures, and somebody else sends the one transaction that approves and opens.
import { IERC20Metadata__factory } from '@opg/bindings'
import {
  createSession,
  createWorkOrder,
  keyEvidence,
  memoryReceiptLog,
  nextPermit2Nonce,
  openGasless,
  openReceiptBook,
  prepareGaslessStart,
  readEscrow,
  signGaslessStart,
  waitForReceipt,
} from '@opg/payer'
import { formatOpg, parseAddress, parseOpg, ZERO_ADDRESS, ZERO_BYTES32, type Hex } from '@opg/protocol'
import { JsonRpcProvider, Wallet } from 'ethers'
import { readFile } from 'node:fs/promises'

const now = (): number => Math.floor(Date.now() / 1000)
const stop = (why: string): never => {
  throw new Error(why)
}
const setting = (name: string): string => process.env[name] ?? stop(`Set ${name}, see examples/README.md.`)

interface NodeInfo {
  readonly node: string
  readonly models: readonly { readonly name: string; readonly modelId: Hex }[]
}
const provider = new JsonRpcProvider(setting('RPC_URL'), undefined, { cacheTimeout: -1 }) // no stale reads
const relayer = new Wallet((await readFile(setting('PAYER_KEY_FILE'), 'utf8')).trim(), provider) // it pays the gas
const payer = Wallet.createRandom().connect(provider) // it does not even have any
const address = parseAddress(payer.address)
const nodeUrl = setting('NODE_URL')
const escrow = await readEscrow(provider, parseAddress(setting('ESCROW'), 'ESCROW'))
const info = (await (await fetch(`${nodeUrl}/v1/info`)).json()) as NodeInfo
const model = info.models.find(({ name }) => name === 'languages') ?? stop('The node does not sell "languages".')

// 1. The relayer gives the new account some OPG, as an employer or a shop would.
const amount = parseOpg('0.1')
await waitForReceipt(await IERC20Metadata__factory.connect(escrow.token, relayer).transfer(address, amount))

// 2. Two messages to sign: the approval of Permit2, for just this amount, and the order.
const node = parseAddress(info.node, 'node')
const nobody = { facilitator: ZERO_ADDRESS, facilitatorBps: 0 }
// The escrow judges receipts of a node's own key itself.
const terms = { node, ...nobody, verifier: escrow.escrow, evidenceKey: ZERO_BYTES32, modelId: model.modelId }
const nonce = await nextPermit2Nonce(provider, { payer: address })
const work = createWorkOrder({ escrow, terms, payer: address, amount, nonce, claimBy: now() + 3_600, now: now() })
const start = await prepareGaslessStart(provider, { escrow, work, amount })
const signatures = await signGaslessStart(payer, start)

// 3. One transaction, sent by anybody.
const opening = await openGasless(relayer, { escrow, terms, ...signatures })
console.log('order:', opening.status, work.orderId)
if (opening.status === 'refused') stop(opening.detail)
console.log('gas of the payer:', await provider.getBalance(address))

// 4. As any order.
const evidence = keyEvidence(terms)
const book = await openReceiptBook({ escrow, terms, order: work.order, evidence, log: memoryReceiptLog() })
const opened = await createSession({ nodeUrl, fetch, requester: payer, book, now })
if (opened.status === 'refused') throw new Error(opened.detail)
const answer = await opened.session.infer({ model: model.name, input: { text: 'Het geld staat al vast.' } })
if (answer.status === 'refused') throw new Error(answer.detail)
console.log('answer:', JSON.stringify(answer.json))
console.log(`spent ${formatOpg(book.spent)} of ${formatOpg(amount)} OPG`)
provider.destroy()
