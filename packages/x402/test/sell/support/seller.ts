import { paymentMiddleware } from '@x402/express'
import { Wallet } from 'ethers'
import express from 'express'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { escrowUpto, fileOutbox, honestStatus } from '../../../src/index.js'
import { CAP } from './shop.js'
import type { SellerInput } from './sellerProcess.js'

const { rpcUrl, facilitatorUrl, deployment, nodeKey, outboxPath, handler } = JSON.parse(
  await text(process.stdin),
) as SellerInput

const seller = await escrowUpto({
  signer: new Wallet(nodeKey),
  rpc: rpcUrl,
  facilitator: facilitatorUrl,
  deployment,
  outbox: fileOutbox(outboxPath),
  limits: { captureWaitMs: 300 },
})
const app = express()
app.use(paymentMiddleware({ 'POST /answer': seller.route(CAP) }, seller.resourceServer))
app.use(honestStatus())
app.post('/answer', (_request, response) => {
  process.stdout.write('handling\n')
  if (handler === 'answers') response.json({ answer: 42 })
})
const server = app.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}\n`)
})
