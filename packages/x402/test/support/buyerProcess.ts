import { Wallet } from 'ethers'
import { payFetch } from '../../src/index.js'
import { units } from './buyer.js'

/** A buyer in a process of its own: pays until its limits say no, and prints how often it did. */
const { RPC_URL = '', ESCROW = '', PAYER_KEY = '', FOLDER = '', SELLER_URL = '' } = process.env
const fetch = payFetch(new Wallet(PAYER_KEY), {
  rpcUrl: RPC_URL,
  escrow: `0x${ESCROW.slice(2)}`,
  folder: FOLDER,
  maxPerDay: units(600n),
  sessionAmount: units(60n),
})
let paid = 0
let refused = 0
while (refused === 0) {
  try {
    const response = await fetch(SELLER_URL, { method: 'POST', body: String(paid) })
    if (response.ok) paid++
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'SPEND_LIMIT')) throw error
    refused++
  }
}
process.stdout.write(JSON.stringify({ paid, refused }))
await fetch.close()
