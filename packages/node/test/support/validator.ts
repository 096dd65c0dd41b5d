import {
  type Hex,
  domainSeparator,
  parseAddress,
  parseArray,
  parseBytes,
  parseBytes32,
  parseObject,
  parseSettlement,
  parseSignedReceipt,
  parseTerms,
  parseUint,
  recoverSigner,
  structDigest,
} from '@opg/protocol'
import type { Wallet } from 'ethers'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

/** How a validator answers: as it should, never, with rubbish, or with a signature that is none of this batch or its own. */
export type ValidatorMood =
  'honest' | 'silent' | 'hang-up' | 'garbage' | 'endless' | 'refuses' | 'other-batch' | 'moved'

export interface TestValidator {
  readonly validator: { readonly address: Hex; readonly url: string }
  mood: ValidatorMood
  /** What it was asked, oldest first. */
  readonly asked: ReturnType<typeof readQuestion>[]
  /** Breaks every line that is open. */
  hangUp(): void
  stop(): Promise<void>
}

const readQuestion = parseObject({
  chainId: parseUint(256),
  escrow: parseAddress,
  terms: parseTerms,
  node: parseAddress,
  evidenceKey: parseBytes32,
  settlements: parseArray(parseSettlement, 100),
  receipts: parseArray(parseSignedReceipt, 100),
  nodeSignature: parseBytes({ min: 65, max: 65 }),
})

/** A validator on a real port. It checks that the node asks and that receipts and settlements agree, and signs the digest that it computes. */
export async function startValidator(wallet: Wallet): Promise<TestValidator> {
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      const question = readQuestion(body, '')
      state.asked.push(question)
      const { chainId, escrow, node, evidenceKey, settlements, receipts } = question
      const agree = settlements.every(({ orderId, cumulativeFee, receiptCount }) => {
        if (cumulativeFee === 0n) return true // it takes nothing, and only the node can lose by it
        const last = receipts.find(({ receipt }) => receipt.orderId === orderId)?.receipt
        return last?.cumulativeFee === cumulativeFee && last.seq + 1n === receiptCount
      })
      const digestOf = (rows: typeof settlements): Hex =>
        structDigest(domainSeparator({ chainId, escrow }), {
          name: 'SettlementBatch',
          value: { node, evidenceKey, settlements: rows },
        })
      const asksItself = recoverSigner(digestOf(settlements), question.nodeSignature) === node
      const digest = digestOf(state.mood === 'other-batch' ? settlements.slice(1) : settlements)
      const signature = wallet.signingKey.sign(digest).serialized
      if (state.mood === 'silent') return
      if (state.mood === 'hang-up') response.destroy()
      else if (state.mood === 'garbage') response.end('<html>')
      else if (state.mood === 'endless') response.end('x'.repeat(1_000_000))
      else if (state.mood === 'moved') response.writeHead(307, { location: '/elsewhere' }).end()
      else if (state.mood === 'refuses' || !agree || !asksItself) response.writeHead(403).end('{}')
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ signature }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const state: TestValidator = {
    validator: { address: wallet.address as Hex, url: `http://127.0.0.1:${String(port)}/sign` },
    mood: 'honest',
    asked: [],
    hangUp: () => {
      server.closeAllConnections()
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => {
          resolve()
        })
      }),
  }
  return state
}
