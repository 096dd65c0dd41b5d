// A complete shop: an express handler that agents pay for over x402. Then an agent that buys, and the seller's money.
import { parseDeployment, formatOpg, parseOpg } from '@opg/protocol'
import { escrowUpto, honestStatus, payFetch } from '@opg/x402'
import { paymentMiddleware, setSettlementOverrides } from '@x402/express'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { Wallet } from 'ethers'
import express from 'express'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const stop = (why: string): never => {
  throw new Error(why)
}
const setting = (name: string): string => process.env[name] ?? stop(`Set ${name}, see examples/README.md.`)
const read = async (name: string): Promise<string> => (await readFile(setting(name), 'utf8')).trim()

// 1. The seller. Its key only signs: it needs no gas.
const key = new Wallet(await read('SELLER_KEY_FILE'))
const deployment = parseDeployment(JSON.parse(await read('DEPLOYMENT_FILE')), 'DEPLOYMENT_FILE')
const seller = await escrowUpto({
  signer: key,
  rpc: setting('RPC_URL'),
  facilitator: setting('FACILITATOR_URL'),
  deployment, // not needed where one is recorded for the chain
})

// 2. The shop. A request may cost 0.05 OPG, and costs 0.001 a word. A failure costs nothing.
const app = express()
app.use(express.raw({ type: () => true })) // the bytes, so that receipts name the request
app.use(paymentMiddleware({ 'POST /words': seller.route('0.05 OPG') }, seller.resourceServer))
app.use(honestStatus())
app.post('/words', (request, response) => {
  const words = String(request.body ?? '').match(/\S+/g)?.length ?? 0
  if (words === 0) {
    response.status(400).json({ error: 'There are no words.' })
    return
  }
  setSettlementOverrides(response, { amount: (BigInt(words) * parseOpg('0.001')).toString() })
  response.json({ words })
})
const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/words`
console.log(`selling at ${url}`)

// 3. An agent, which is elsewhere in real life.
const payer = new Wallet(await read('PAYER_KEY_FILE'))
const fetch = payFetch(payer, {
  rpcUrl: setting('RPC_URL'),
  escrow: deployment.escrow,
  maxPerDay: '1',
  maxPerRequest: '0.05',
  approve: true, // of Permit2, once
})
let spent = 0n
for (const body of ['To be', 'or not to be', 'that is the question', '']) {
  const response = await fetch(url, { method: 'POST', body })
  const settled = decodePaymentResponseHeader(response.headers.get('payment-response') ?? stop('It was free.'))
  const fee = BigInt(settled.amount ?? 0)
  spent += fee
  console.log(`${String(response.status)} ${await response.text()} for ${formatOpg(fee)} OPG`)
}
await fetch.close()

// 4. Getting paid. Fees are credits in the escrow until somebody claims them, which takes gas; here the seller's own.
while ((await seller.credits()) < (spent * 9n) / 10n) await sleep(200) // the network's share is a tenth at most
console.log(`the buyer paid ${formatOpg(spent)} OPG; the seller may claim ${formatOpg(await seller.credits())}`)
console.log(`claimed ${formatOpg(await seller.claim(key))} OPG to ${key.address}`)
server.close()
server.closeAllConnections()
await seller.close()
