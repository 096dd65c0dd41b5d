import { InvalidInputError, parseBytes32, parseUint, toWire, treeRoot, type Hex } from '@opg/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseOrderInput } from '../gate/orderInput.js'
import type { PaidService } from '../service/types.js'
import { amountOf } from '../store/reservedSlice.js'
import type { NodeStore, StoredOrder } from '../store/types.js'
import { HttpError, refusalAnswer } from './errors.js'
import { parseJsonBody } from './jsonBody.js'
import { sendError } from './sendError.js'

/** The part of the books that the public may read. */
export type PublicBooks = Pick<NodeStore, 'order' | 'receipts'>

/** Receipts on one page. */
const PAGE_SIZE = 100

/** `/v1/orders`: to hand in orders, to ask for their close, and to read their books. */
export function orderRoutes(
  app: FastifyInstance,
  options: { readonly service: PaidService; readonly books: PublicBooks },
): void {
  const { service, books } = options

  app.post('/v1/orders', async (request, reply) => {
    const input = parseJsonBody(request.body)
    parseOrderInput(input) // here as well, so that the answer can name the member
    const admission = await service.admitOrder(input)
    return admission.status === 'refused' ? sendError(reply, refusalAnswer(admission)) : reply.send(toWire(admission))
  })

  app.post('/v1/orders/:orderId/close', async (request, reply) => {
    const orderId = orderIdOf(request)
    const input = parseJsonBody(request.body)
    const named = Object.entries(input['closeRequest'] ?? {}).find(([key]) => key === 'orderId')?.[1] as unknown
    if (parseBytes32(named, 'closeRequest.orderId') !== orderId) {
      throw new InvalidInputError({ field: 'closeRequest.orderId', expected: 'the order of the path', value: named })
    }
    const answer = await service.requestClose(input)
    return answer.status === 'refused' ? sendError(reply, refusalAnswer(answer)) : reply.send(answer)
  })

  app.get('/v1/orders/:orderId', async (request, reply) => {
    const stored = await known(orderIdOf(request), books)
    return reply.send(
      toWire({
        orderId: stored.orderId,
        chain: stored.chain,
        closing: stored.closing ?? null,
        slice: sliceWire(stored),
        amount: amountOf(stored),
        claimBy: stored.order.claimBy,
        released: stored.released,
        cumulativeFee: stored.cumulativeFee,
        reserved: stored.reserved,
        receiptCount: stored.receiptCount,
        receiptsRoot: treeRoot(stored.tree),
      }),
    )
  })

  app.get('/v1/orders/:orderId/receipts', async (request, reply) => receiptsPage(request, { reply, books }))
}

async function receiptsPage(
  request: FastifyRequest,
  { reply, books }: { readonly reply: FastifyReply; readonly books: PublicBooks },
): Promise<FastifyReply> {
  const orderId = orderIdOf(request)
  const query = new Map<string, unknown>(Object.entries(request.query ?? {}))
  const from = parseUint(64)(query.get('from') ?? '0', 'from')
  const { receiptCount } = await known(orderId, books)
  const receipts = from < receiptCount ? await books.receipts(orderId, { from, limit: PAGE_SIZE }) : []
  const next = from + BigInt(receipts.length)
  return reply.send(
    toWire({ orderId, receiptCount, receipts, next: receipts.length > 0 && next < receiptCount ? next : null }),
  )
}

/** Where a slice comes from; null for an order of its own. */
function sliceWire({ slice }: StoredOrder): unknown {
  if (slice === undefined) return null
  return { orderId: slice.routedId, allocationId: slice.allocationId, index: slice.slice.index }
}

function orderIdOf(request: FastifyRequest): Hex {
  const params = new Map<string, unknown>(Object.entries(request.params ?? {}))
  return parseBytes32(params.get('orderId'), 'orderId')
}

async function known(orderId: Hex, books: PublicBooks) {
  const stored = await books.order(orderId)
  if (stored === undefined) {
    throw new HttpError(404, 'ORDER_UNKNOWN', `This node has no order ${orderId}. Hand it in at POST /v1/orders first.`)
  }
  return stored
}
