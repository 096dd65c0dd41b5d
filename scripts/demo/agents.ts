import {
  createSession,
  fetchTeeKey,
  memoryReceiptLog,
  openReceiptBook,
  teeEvidence,
  type ReceiptBook,
  type Session,
} from '@opg/payer'
import { DemoError, progress } from './report.js'
import { inferBody } from './sentences.js'
import type { DemoOrder } from './steps.js'
import type { World } from './world.js'

const AT_ONCE = 8

export interface Bought {
  readonly inferences: number
  readonly receiptsVerified: number
}

interface Shop {
  readonly orders: readonly DemoOrder[]
  readonly nodeUrl: string
}

/** The agent buys with every order but the one that is to expire, and checks every receipt. */
export async function buyInference(world: World, { orders, nodeUrl }: Shop): Promise<Bought> {
  let [inferences, receiptsVerified] = [0, 0]
  for (const order of orders) {
    if (order.use === 'expires') continue
    const session = await openSession(world, { order, nodeUrl })
    const bodies =
      order.use === 'single' ? [order.body] : Array.from({ length: order.requests }, (_, index) => inferBody(index))
    inferences += await buyAll(session, bodies)
    receiptsVerified += verifiedReceipts(session.book)
    const kind = order.use === 'single' ? 'a single request' : `a session of ${String(bodies.length)} requests`
    progress(`bought ${kind}; ${String(receiptsVerified)} receipts verified so far`)
  }
  return { inferences, receiptsVerified }
}

async function openSession(
  world: World,
  { order, nodeUrl }: { readonly order: DemoOrder; readonly nodeUrl: string },
): Promise<Session> {
  const { devnet, escrow, terms, teeId, agent } = world
  const registry = devnet.deployment.teeRegistry
  if (registry === null) throw new DemoError('The devnet has no TEE registry')
  const evidence = teeEvidence(terms, [await fetchTeeKey(devnet.provider, { registry, teeId })])
  const book = await openReceiptBook({ escrow, terms, order: order.order, evidence, log: memoryReceiptLog() })
  const now = (): number => Math.floor(Date.now() / 1000)
  const opened = await createSession({ nodeUrl, fetch, requester: agent, book, now })
  if (opened.status === 'refused') throw new DemoError(`The node refused an order: ${opened.detail}`)
  return opened.session
}

/** Sends the requests, a few at a time. @returns how many were answered */
async function buyAll(session: Session, bodies: readonly Uint8Array[]): Promise<number> {
  const queue = bodies.values()
  let answered = 0
  const worker = async (): Promise<void> => {
    for (const body of queue) {
      const answer = await session.infer(body)
      if (answer.status === 'refused') throw new DemoError(`The node refused a request: ${answer.detail}`)
      answered += 1
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return answered
}

function verifiedReceipts(book: ReceiptBook): number {
  const audit = book.audit()
  if (audit.frauds.length > 0) throw new DemoError(`The node was caught: ${audit.frauds[0]?.kind ?? ''}`)
  return audit.receipts
}
