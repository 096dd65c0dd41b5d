// One deposit for many nodes: the order is divided into slices on chain, an agent buys on each, the rest comes back early.
// Here the payer routes its own order, and the one node of the example holds both slices.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  allocateSlices,
  approvePermit2,
  createSession,
  createWorkOrder,
  fetchSliceSettlements,
  keyEvidence,
  memoryReceiptLog,
  nextPermit2Nonce,
  openOrder,
  openReceiptBook,
  prepareAllocation,
  readEscrow,
  releaseRouted,
  requestClose,
  routedStatus,
  signWorkOrder,
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
const payer = new Wallet((await readFile(setting('PAYER_KEY_FILE'), 'utf8')).trim(), provider)
const address = parseAddress(payer.address)
const nodeUrl = setting('NODE_URL')
const escrow = await readEscrow(provider, parseAddress(setting('ESCROW'), 'ESCROW'))
const info = (await (await fetch(`${nodeUrl}/v1/info`)).json()) as NodeInfo
const model = info.models.find(({ name }) => name === 'languages') ?? stop('The node does not sell "languages".')
const fromBlock = await provider.getBlockNumber()

// 1. An order that names no node. Whoever is its facilitator divides it.
const routing = { node: ZERO_ADDRESS, facilitator: address, facilitatorBps: 0 }
const terms = { ...routing, verifier: escrow.escrow, evidenceKey: ZERO_BYTES32, modelId: model.modelId }
await approvePermit2(payer, { token: escrow.token })
const nonce = await nextPermit2Nonce(provider, { payer: address })
const times = { claimBy: now() + 3_600, now: now() }
const work = createWorkOrder({ escrow, terms, payer: address, amount: parseOpg('0.1'), nonce, ...times })
const { order } = work
const opening = await openOrder(payer, { escrow, terms, signed: await signWorkOrder(payer, work) })
console.log('order:', opening.status, work.orderId)

// 2. Two slices of 0.01 OPG. They hold their money for their nodes until claimBy, whatever happens to the order.
const holder = { node: parseAddress(info.node, 'node'), evidenceKey: ZERO_BYTES32 }
const holders = [holder, holder]
const prepared = prepareAllocation({ escrow, terms, order, holders, cap: parseOpg('0.01'), series: 0n })
const reserved = await allocateSlices(payer, { escrow, prepared })
if (reserved.status === 'refused') stop(reserved.detail)
console.log('slices:', reserved.status, prepared.slices.length)

// 3. A session on each, as on an order of its own; then each is given back to be settled.
const books = []
for (const { grant, sliceId } of prepared.slices) {
  const evidence = keyEvidence(grant.slice)
  const book = await openReceiptBook({ escrow, terms, order, slice: grant, evidence, log: memoryReceiptLog() })
  const opened = await createSession({ nodeUrl, fetch, requester: payer, book, now })
  if (opened.status === 'refused') throw new Error(opened.detail)
  const answer = await opened.session.infer({ model: model.name, input: { text: 'Het geld staat al vast.' } })
  if (answer.status === 'refused') throw new Error(answer.detail)
  console.log('slice', sliceId.slice(0, 10), 'answered for', formatOpg(book.spent), 'OPG')
  await requestClose(payer, { nodeUrl, fetch, escrow, terms, order, slice: grant, expiresAt: now() + 600 })
  books.push(book)
}

// 4. The node settles its slices and is paid at once. Then nothing is reserved, and the order closes before its time.
const allocations = [prepared.allocation]
for (;;) {
  const {
    allocations: [allocation],
  } = await routedStatus(provider, { escrow, terms, order, allocations })
  if (allocation?.unsettled.length === 0) break
  await sleep(500)
}
for (const event of await fetchSliceSettlements(provider, { escrow, orderId: work.orderId, fromBlock })) {
  const book = books.find(({ orderId }) => orderId === event.orderId)
  console.log('settled:', formatOpg(event.cumulativeFee), 'OPG,', book?.checkSettlement(event).status)
}
const released = await releaseRouted(payer, { escrow, terms, order })
console.log(released.status === 'released' ? `${formatOpg(released.refund)} OPG came back` : released.status)
provider.destroy()
