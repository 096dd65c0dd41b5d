import { TypedDataEncoder } from 'ethers'
import {
  InvalidInputError,
  MAX_CLAIM_WINDOW_SECONDS,
  MAX_UINT96,
  ZERO_ADDRESS,
  workOrderPermitDigest,
} from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { ESCROW, NOW, ORDER, TERMS, addressOf, payerWallet, strangerWallet } from '../test/support/world.js'
import { type WorkOrderInput, createWorkOrder } from './createWorkOrder.js'
import { signWorkOrder } from './signWorkOrder.js'

const INPUT: WorkOrderInput = {
  escrow: ESCROW,
  terms: TERMS,
  payer: ORDER.payer,
  amount: 1n,
  nonce: 0n,
  claimBy: NOW + 60,
  now: NOW,
}

function fieldOf(change: object): string {
  try {
    createWorkOrder({ ...INPUT, ...change })
  } catch (error) {
    if (error instanceof InvalidInputError) return error.field
    throw error
  }
  return 'none'
}

describe('createWorkOrder', () => {
  it('makes typed data whose digest is what Permit2 checks', () => {
    const { typedData, terms, order, deadline } = createWorkOrder(INPUT)
    const { PermitWitnessTransferFrom, ...others } = typedData.types
    expect(PermitWitnessTransferFrom).toBeDefined()
    expect(Object.keys(others).sort()).toEqual(['Job', 'Terms', 'TokenPermissions', 'WorkOrder'])
    expect(TypedDataEncoder.hash(typedData.domain, typedData.types, typedData.message)).toBe(
      workOrderPermitDigest({ ...ESCROW, terms, order, deadline }),
    )
  })

  it('makes a session that the payer itself uses, unless told otherwise', () => {
    expect(createWorkOrder(INPUT).order.job.requester).toBe(ORDER.payer)
    expect(createWorkOrder({ ...INPUT, requester: ORDER.job.requester }).order.job.requester).toBe(ORDER.job.requester)
  })

  it.each([
    ['now', NOW, 'order.claimBy'],
    ['a second from now', NOW + 1, 'none'],
    ['a second before the last', NOW + MAX_CLAIM_WINDOW_SECONDS - 1, 'none'],
    ['90 days from now', NOW + MAX_CLAIM_WINDOW_SECONDS, 'none'],
    ['a second later', NOW + MAX_CLAIM_WINDOW_SECONDS + 1, 'order.claimBy'],
    ['in milliseconds', (NOW + 60) * 1_000, 'order.claimBy'],
    ['between seconds', NOW + 1.5, 'order.claimBy'],
  ])('checks a claimBy that is %s', (_, claimBy, field) => {
    expect(fieldOf({ claimBy })).toBe(field)
  })

  it.each([
    [0n, 'order.amount'],
    [-1n, 'order.amount'],
    [1n, 'none'],
    [MAX_UINT96, 'none'],
    [MAX_UINT96 + 1n, 'order.amount'],
    [1, 'order.amount'],
    [1.5, 'order.amount'],
    ['1', 'order.amount'],
  ])('checks an amount of %s', (amount, field) => {
    expect(fieldOf({ amount })).toBe(field)
  })

  it.each([
    ['a share over its cap', { facilitator: ORDER.payer, facilitatorBps: 2_001 }, 'terms.facilitatorBps'],
    ['a share for nobody', { facilitatorBps: 1 }, 'terms.facilitatorBps'],
    ['no node', { node: ZERO_ADDRESS }, 'terms.node'],
    ['the escrow as the node', { node: ESCROW.escrow }, 'terms.node'],
    [
      'a node with a bad checksum',
      { node: TERMS.node.replace(/[a-f]/, (letter) => letter.toUpperCase()) },
      'terms.node',
    ],
    ['a short evidence key', { evidenceKey: '0x00' }, 'terms.evidenceKey'],
    ['an unknown member', { extra: 1 }, 'terms.extra'],
  ])('refuses %s', (_, change, field) => {
    expect(fieldOf({ terms: { ...TERMS, ...change } })).toBe(field)
  })

  it('refuses a deadline outside of now and claimBy', () => {
    expect(fieldOf({ deadline: NOW - 1 })).toBe('deadline')
    expect(fieldOf({ deadline: NOW })).toBe('none')
    expect(fieldOf({ deadline: NOW + 60 })).toBe('none')
    expect(fieldOf({ deadline: NOW + 61 })).toBe('deadline')
  })
})

describe('signWorkOrder', () => {
  it('refuses a signer that is not the payer', async () => {
    const expected = { code: 'SIGNER_MISMATCH', expected: addressOf(payerWallet), found: addressOf(strangerWallet) }
    await expect(signWorkOrder(strangerWallet, createWorkOrder(INPUT))).rejects.toMatchObject(expected)
  })

  it('passes on what a smart wallet signs, whatever its length', async () => {
    const signature = `0x${'5a'.repeat(300)}`
    const wallet = Object.assign(Object.create(payerWallet) as typeof payerWallet, {
      signTypedData: () => Promise.resolve(signature),
    })
    expect((await signWorkOrder(wallet, createWorkOrder(INPUT))).signature).toBe(signature)
  })
})
