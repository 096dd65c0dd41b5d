import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { keccak256 } from 'ethers'
import { gatewayDigest, gatewayInputHash, gatewayLeaf, gatewayOutputHash, responseHash } from '@opg/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FEE, FakeNode, type FakeAnswer } from '../test/support/fakeNode.js'
import { ESCROW, NOW, ORDER, TERMS, asHex, nodeWallet, requesterWallet, signReceipt } from '../test/support/world.js'
import { askGateway } from './askGateway.js'
import type { PreparedCall } from './call.js'
import { createSession } from './createSession.js'
import { gatewayEvidence } from './evidence.js'
import type { SettledEvent } from './fetchSettlements.js'
import { createGatewayOrder } from './gatewayOrder.js'
import { memoryReceiptLog } from './receiptLog.js'
import { openReceiptBook } from './receiptBook.js'
import type { Session } from './session.js'
import { verifyFraud } from './verifyFraud.js'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const der = asHex(`0x${publicKey.export({ format: 'der', type: 'spki' }).toString('hex')}`)
const KEY = { teeId: asHex(keccak256(der)), publicKey: der, owner: TERMS.node }
const QUESTION = { model: 'm', messages: [{ role: 'user', content: 'Wie ben je?' }] }
const TERMS_OF = { ...TERMS, evidenceKey: KEY.teeId }
const { work, request } = createGatewayOrder({
  escrow: ESCROW,
  terms: TERMS_OF,
  payer: ORDER.payer,
  requester: ORDER.job.requester,
  amount: FEE,
  nonce: 3n,
  claimBy: NOW + 3_600,
  now: NOW,
  request: QUESTION,
})

let node: FakeNode
let session: Session

/** An answer as the gateway signs it, to this request or another. */
function signed(text: string, asked: unknown = request): Record<string, unknown> {
  const receipt = { inputHash: gatewayInputHash(asked), outputHash: gatewayOutputHash(text), timestamp: NOW }
  const padded = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  const signature = sign('sha256', Buffer.from(gatewayDigest(receipt).slice(2), 'hex'), padded).toString('base64')
  const choices = [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }]
  return { choices, tee_signature: signature, tee_timestamp: NOW }
}

/** The node says this, under a receipt of its own that is right. */
function says(json: unknown): void {
  node.attack = (answer): FakeAnswer => {
    const body = Buffer.from(JSON.stringify(json))
    const { receipt } = answer.signed
    return { ...answer, body, signed: signReceipt({ ...receipt, responseHash: responseHash(body) }, nodeWallet) }
  }
}

beforeEach(async () => {
  node = await FakeNode.start()
  const evidence = gatewayEvidence(TERMS_OF)
  const { order } = work
  const book = await openReceiptBook({ escrow: ESCROW, terms: TERMS_OF, order, evidence, log: memoryReceiptLog() })
  const http = { nodeUrl: node.url, fetch, attempts: 1 }
  const opened = await createSession({ ...http, requester: requesterWallet, book, now: () => NOW })
  if (opened.status === 'refused') throw new TypeError(opened.detail)
  session = opened.session
})
afterEach(() => node.stop())

describe('askGateway', () => {
  it('gives what the gateway signed, and the leaf that the chain must show', async () => {
    says(signed('Een model.'))
    const answer = await askGateway(session, { request, key: KEY })
    const gatewayReceipt = {
      inputHash: work.order.job.requestHash,
      outputHash: gatewayOutputHash('Een model.'),
      timestamp: NOW,
    }
    expect(answer).toMatchObject({ text: 'Een model.', gatewayReceipt, leaf: gatewayLeaf(gatewayReceipt) })
  })

  it.each([
    ['alters the text', { ...signed('Een model.'), choices: signed('Een mens.')['choices'] }],
    ['brings the gateway’s answer to the same question of somebody else', signed('Een model.', QUESTION)],
    ['answers by itself', { choices: signed('Een model.')['choices'] }],
    ['makes a signature up', { ...signed('Een model.'), tee_signature: 'AAAA' }],
    ['answers something else', { asked: 0 }],
  ])('a node %s: its answer is not taken, and its receipt is kept', async (_, json) => {
    says(json)
    const invalid = { code: 'RECEIPT_INVALID', field: 'tee_signature' }
    await expect(askGateway(session, { request, key: KEY })).rejects.toMatchObject(invalid)
    expect(session.book.receipts()).toHaveLength(1)
  })

  it('asks nothing but what the order pins, and by no other key than its terms name', async () => {
    await expect(askGateway(session, { request: QUESTION, key: KEY })).rejects.toMatchObject({ field: 'body' })
    const other = { ...KEY, teeId: asHex(`0x${'01'.repeat(32)}`) }
    await expect(askGateway(session, { request, key: other })).rejects.toMatchObject({ field: 'key.teeId' })
    const bytes = new TextEncoder().encode('no json')
    await expect(session.prepare('/v1/chat/completions', { body: bytes, maxFee: 1n })).rejects.toMatchObject({
      field: 'body',
    })
    expect(node.arrived).toEqual([])
  })

  it('asks again with the call of an error, and is billed once', async () => {
    node.attack = (_, { response }) => void response.destroy()
    const failure = await askGateway(session, { request, key: KEY }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'NODE_UNAVAILABLE', call: { path: '/v1/chat/completions' } })
    const { call } = failure as { readonly call: PreparedCall }
    says(signed('Een model.'))
    expect(await askGateway(session, { request, key: KEY, call })).toMatchObject({ status: 'answered' })
    expect(session.book.audit()).toMatchObject({ receipts: 1, spent: FEE, frauds: [] })
  })
})

describe('the book of a gateway’s order', () => {
  const settled: SettledEvent = {
    orderId: work.orderId,
    cumulativeFee: FEE,
    receiptsRoot: `0x${'0e'.repeat(32)}`,
    receiptCount: 1n,
    refund: 0n,
    transactionHash: `0x${'0f'.repeat(32)}`,
  }

  it('does not take the gateway’s leaf for fraud: the node’s receipts say nothing of it', async () => {
    says(signed('Een model.'))
    await askGateway(session, { request, key: KEY })
    expect(session.book.checkSettlement(settled)).toEqual({ status: 'consistent' })
    const proof = { kind: 'settlement-root-mismatch', settlement: settled, receipts: session.book.receipts() } as const
    const against = { escrow: ESCROW, terms: TERMS_OF, order: work.order, evidence: gatewayEvidence(TERMS_OF) }
    expect(verifyFraud(proof, against)).toMatchObject({ status: 'refuted' })
  })

  it('still finds a settlement of more than was billed', async () => {
    says(signed('Een model.'))
    await askGateway(session, { request, key: KEY })
    const more = { ...settled, cumulativeFee: FEE + 1n }
    expect(session.book.checkSettlement(more)).toMatchObject({ status: 'fraud' })
  })
})
