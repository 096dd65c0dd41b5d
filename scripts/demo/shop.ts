import { escrowUpto, honestStatus } from '@opg/x402'
import { paymentMiddleware, setSettlementOverrides } from '@x402/express'
import express from 'express'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { World } from './world.js'

/** A web server that is no node of ours: express, the stock x402 middleware, and our scheme. */
export interface Shop {
  readonly url: string
  stop(): Promise<void>
}

/** What a word costs, in base units. */
const WORD_PRICE = 10n ** 15n

/** Sells the words of a text, counted. A text without words is the shop's own failure, and costs nothing. */
export async function startShop({ devnet, shopkeeper }: World, facilitatorUrl: string): Promise<Shop> {
  const seller = await escrowUpto({
    signer: shopkeeper,
    rpc: devnet.rpcUrl,
    deployment: devnet.deployment,
    facilitator: facilitatorUrl,
  })
  const app = express()
  app.use(express.text())
  app.use(paymentMiddleware({ 'POST /words': seller.route('0.05 OPG') }, seller.resourceServer))
  app.use(honestStatus())
  app.post('/words', (request, response) => {
    const words = String(request.body).split(/\s+/).filter(Boolean).length
    if (words === 0) {
      response.status(500).json({ error: 'no words' })
      return
    }
    setSettlementOverrides(response, { amount: (BigInt(words) * WORD_PRICE).toString() })
    response.json({ words })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await seller.close()
    },
  }
}
