import { HTTPFacilitatorClient } from '@x402/core/server'
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askFacilitator, type Told } from './facilitator.js'

const NETWORK = 'eip155:31337'
const requirements: PaymentRequirements = {
  scheme: 'upto',
  network: NETWORK,
  asset: '0x240b09731D96979f50B2C649C9CE10FcF9C7987F',
  payTo: '0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002',
  amount: '7',
  maxTimeoutSeconds: 60,
  extra: {},
}
const payment: PaymentPayload = { x402Version: 2, accepted: requirements, payload: {} }

describe('what comes back on the line to a facilitator', () => {
  let reply: { readonly status: number; readonly body: string } = { status: 200, body: '{}' }
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(reply.status, { 'content-type': 'application/json' }).end(reply.body)
    })
  })
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  afterAll(() => new Promise((resolve) => server.close(resolve)))

  const told = (status: number, body: unknown): Promise<Told> => {
    reply = { status, body: typeof body === 'string' ? body : JSON.stringify(body) }
    const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
    return askFacilitator(new HTTPFacilitatorClient({ url }), {
      orderId: `0x${'11'.repeat(32)}`,
      payment,
      requirements,
      step: { phase: 'lock', attempt: `0x${'22'.repeat(32)}`, signature: `0x${'33'.repeat(65)}` },
      timeoutMs: 5_000,
    })
  }
  const refusal = { success: false, errorReason: 'over_limit', transaction: '', network: NETWORK }

  // A proxy says these before or after the facilitator was asked: the lock may be there.
  it.each([408, 425, 429, 500, 502, 503, 504])('is no answer with status %d, whatever it says', async (status) => {
    expect(await told(status, refusal)).toMatchObject({ status: 'unknown' })
    expect(await told(status, '<html>busy</html>')).toMatchObject({ status: 'unknown' })
  })

  it.each([400, 402, 403, 409])('is an answer with status %d, if it is one of x402', async (status) => {
    expect(await told(status, refusal)).toMatchObject({ status: 'refused', reason: 'over_limit' })
  })

  it.each(['lock_pending', 'unavailable', 'settlement_pending'])(
    'is to be asked again after %s',
    async (errorReason) => {
      expect(await told(200, { ...refusal, errorReason })).toMatchObject({ status: 'unknown', reason: errorReason })
    },
  )
})
