import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { keccak256 } from 'ethers'
import {
  gatewayDigest,
  gatewayInputHash,
  gatewayLeaf,
  gatewayOutputHash,
  gatewayReference,
  gatewayReferenceOf,
} from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { ESCROW, NOW, ORDER, TERMS, asHex } from '../test/support/world.js'
import { checkGatewayAnswer, createGatewayOrder } from './gatewayOrder.js'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const der = asHex(`0x${publicKey.export({ format: 'der', type: 'spki' }).toString('hex')}`)
const KEY = { teeId: asHex(keccak256(der)), publicKey: der, owner: TERMS.node }
const INPUT = {
  escrow: ESCROW,
  terms: { ...TERMS, evidenceKey: KEY.teeId },
  payer: ORDER.payer,
  amount: 5n,
  nonce: 3n,
  claimBy: NOW + 60,
  now: NOW,
  request: { model: 'm', messages: [{ role: 'user', content: 'Wie ben je?' }] },
}

function answered(request: unknown, text = 'Een model.') {
  const receipt = { inputHash: gatewayInputHash(request), outputHash: gatewayOutputHash(text), timestamp: NOW }
  const padded = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  const signature = sign('sha256', Buffer.from(gatewayDigest(receipt).slice(2), 'hex'), padded).toString('base64')
  return { receipt, answer: { text, timestamp: NOW, signature } }
}

describe('createGatewayOrder', () => {
  it('pins the request, which carries what stands for this order and no other', () => {
    const { work, request } = createGatewayOrder(INPUT)
    expect(work.order.job.requestHash).toBe(gatewayInputHash(request))
    const about = { chainId: ESCROW.deploymentChainId, escrow: ESCROW.escrow, payer: ORDER.payer }
    expect(gatewayReferenceOf(request)).toBe(gatewayReference({ ...about, nonce: 3n }))
    const other = createGatewayOrder({ ...INPUT, nonce: 4n })
    expect(other.work.order.job.requestHash).not.toBe(work.order.job.requestHash)
  })

  it('refuses a request that carries a reference already', () => {
    const { request } = createGatewayOrder(INPUT)
    expect(() => createGatewayOrder({ ...INPUT, request })).toThrow(
      expect.objectContaining({ field: 'request.messages[0]' }),
    )
  })
})

describe('checkGatewayAnswer', () => {
  const { request } = createGatewayOrder(INPUT)

  it('gives the leaf that the chain must show', () => {
    const { receipt, answer } = answered(request)
    expect(checkGatewayAnswer(answer, { request, key: KEY })).toEqual({ receipt, leaf: gatewayLeaf(receipt) })
  })

  it('a node brings the gateway’s answer to somebody else’s equal request: it is not this one’s', () => {
    expect(checkGatewayAnswer(answered(INPUT.request).answer, { request, key: KEY })).toBeUndefined()
    const other = createGatewayOrder({ ...INPUT, nonce: 4n })
    expect(checkGatewayAnswer(answered(other.request).answer, { request, key: KEY })).toBeUndefined()
  })

  it('takes no other text, time or key', () => {
    const { answer } = answered(request)
    expect(checkGatewayAnswer({ ...answer, text: 'Een mens.' }, { request, key: KEY })).toBeUndefined()
    expect(checkGatewayAnswer({ ...answer, timestamp: NOW + 1 }, { request, key: KEY })).toBeUndefined()
    const swapped = { ...KEY, teeId: asHex(`0x${'01'.repeat(32)}`) }
    expect(() => checkGatewayAnswer(answer, { request, key: swapped })).toThrow(
      expect.objectContaining({ code: 'TEE_KEY_INVALID' }),
    )
    expect(() => checkGatewayAnswer({ ...answer, signature: '?' }, { request, key: KEY })).toThrow(
      expect.objectContaining({ field: 'signature' }),
    )
    expect(() => checkGatewayAnswer({ ...answer, timestamp: 1.5 }, { request, key: KEY })).toThrow(
      expect.objectContaining({ field: 'timestamp' }),
    )
  })
})
