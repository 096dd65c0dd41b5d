import { parseCloseRequest, recoverSigner, structDigest } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import {
  ESCROW,
  NOW,
  ORDER,
  ORDER_ID,
  SEPARATOR,
  TERMS,
  asHex,
  payerWallet,
  requesterWallet,
} from '../test/support/world.js'
import { requestClose } from './requestClose.js'

const OPTIONS = { nodeUrl: 'http://127.0.0.1:1', escrow: ESCROW, terms: TERMS, order: ORDER, expiresAt: NOW + 60 }

describe('requestClose', () => {
  it('sends the payer’s signature over the order and a time limit', async () => {
    const sent: { url: string; body: string }[] = []
    const answered = await requestClose(payerWallet, {
      ...OPTIONS,
      fetch: (url, init) => {
        const body = init?.body instanceof Uint8Array ? Buffer.from(init.body).toString() : ''
        sent.push({ url: typeof url === 'string' ? url : '', body })
        return Promise.resolve(Response.json({ status: 'closing', orderId: ORDER_ID }))
      },
    })
    expect(answered).toEqual({ status: 'closing', orderId: ORDER_ID })
    expect(sent[0]?.url).toBe(`http://127.0.0.1:1/v1/orders/${ORDER_ID}/close`)
    const { closeRequest, signature } = JSON.parse(sent[0]?.body ?? '') as { closeRequest: unknown; signature: string }
    const value = parseCloseRequest(closeRequest)
    expect(value).toEqual({ orderId: ORDER_ID, expiresAt: NOW + 60 })
    expect(recoverSigner(structDigest(SEPARATOR, { name: 'CloseRequest', value }), asHex(signature))).toBe(ORDER.payer)
  })

  it('refuses the requester’s key, and milliseconds', async () => {
    await expect(requestClose(requesterWallet, { ...OPTIONS, fetch })).rejects.toMatchObject({
      code: 'SIGNER_MISMATCH',
    })
    const expiresAt = NOW * 1_000
    await expect(requestClose(payerWallet, { ...OPTIONS, fetch, expiresAt })).rejects.toMatchObject({
      field: 'expiresAt',
    })
  })
})
