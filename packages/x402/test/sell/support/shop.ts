import { paymentMiddleware } from '@x402/express'
import express, { type RequestHandler } from 'express'
import { honestStatus, type EscrowUpto, type EscrowUptoOptions } from '../../../src/index.js'
import type { SellWorld } from './world.js'

export interface Shop {
  readonly url: string
  readonly seller: EscrowUpto
  /** How often the handler ran. */
  readonly runs: number
}

export const CAP = '0.05 OPG'

/** What a handler does that has no trouble. */
export const answer: RequestHandler = (_request, response) => {
  response.json({ answer: 42 })
}

/** A stock express server that sells one handler. */
export async function openShop(
  world: SellWorld,
  handler: RequestHandler = answer,
  options: Partial<EscrowUptoOptions> = {},
): Promise<Shop> {
  const seller = await world.seller(options)
  const app = express()
  let runs = 0
  app.use(paymentMiddleware({ 'POST /answer': seller.route(CAP) }, seller.resourceServer))
  app.use(honestStatus())
  app.post('/answer', (request, response, next) => {
    runs += 1
    return handler(request, response, next)
  })
  // express tells the console of errors, unless somebody takes them.
  app.use(((_error, _request, response, next) => {
    if (response.headersSent) next()
    else response.status(500).json({ error: 'handler' })
  }) satisfies express.ErrorRequestHandler)
  const url = `${await world.serve(app)}/answer`
  return {
    url,
    seller,
    get runs() {
      return runs
    },
  }
}
