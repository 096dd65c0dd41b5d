// The smallest agent over x402: a fetch that pays, within limits of its own.
import { payFetch } from '@opg/x402'
import { formatOpg, parseAddress } from '@opg/protocol'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { Wallet } from 'ethers'
import { readFile } from 'node:fs/promises'

const stop = (why: string): never => {
  throw new Error(why)
}
const setting = (name: string): string => process.env[name] ?? stop(`Set ${name}, see examples/README.md.`)

const wallet = new Wallet((await readFile(setting('PAYER_KEY_FILE'), 'utf8')).trim())
const fetch = payFetch(wallet, {
  rpcUrl: setting('RPC_URL'),
  escrow: parseAddress(setting('ESCROW'), 'ESCROW'), // not needed where a deployment is recorded for the chain
  maxPerDay: '1',
  maxPerRequest: '0.01',
  approve: true, // of Permit2, once
})

let spent = 0n
const texts = ['Where is the station?', 'Waar is het station?', 'Wo ist der Bahnhof?']
for (const text of texts) {
  const response = await fetch(`${setting('NODE_URL')}/v1/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'languages', input: { text } }),
  })
  const { output } = (await response.json()) as { readonly output: { readonly language: { readonly data: string[] } } }
  // payFetch has checked the receipt: it is of this answer, and the fee is what it says.
  const settled = response.headers.get('payment-response') ?? stop('The answer was free.')
  const fee = BigInt(decodePaymentResponseHeader(settled).amount ?? 0)
  spent += fee
  console.log(`${text} ${output.language.data.join()}, for ${formatOpg(fee)} OPG`)
}
console.log(
  `spent ${formatOpg(spent)} of ${formatOpg(await fetch.spentToday())} OPG that were signed away, in one order`,
)
for (const { orderId, status } of await fetch.close()) console.log(`order ${orderId}: ${status}`)
