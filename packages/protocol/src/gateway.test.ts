import { AbiCoder, keccak256, solidityPackedKeccak256, toUtf8Bytes } from 'ethers'
import { describe, expect, it } from 'vitest'
import { refusalOf } from '../test/refusal.js'
import {
  gatewayDigest,
  gatewayInputHash,
  gatewayLeaf,
  gatewayOutputHash,
  gatewayReference,
  gatewayReferenceOf,
  gatewayText,
  withGatewayReference,
} from './gateway.js'
import { orderSeed } from './ids.js'
import type { Hex } from './types.js'

const WORD: Hex = `0x${'1a'.repeat(32)}`
const ORDER: Parameters<typeof gatewayReference>[0] = {
  chainId: 31_337n,
  escrow: `0x${'e5'.repeat(20)}`,
  payer: `0x${'22'.repeat(20)}`,
  nonce: 7n,
}
const REQUEST = { model: 'm', messages: [{ role: 'user', content: 'Hoe gaat het, José?' }], temperature: 0.0 }

describe('what a gateway signs', () => {
  it('hashes a request as Python writes it, and an answer as it reads', () => {
    const written =
      '{"messages": [{"content": "Hoe gaat het, Jos\\u00e9?", "role": "user"}], "model": "m", "temperature": 0.0}'
    expect(gatewayInputHash(REQUEST)).toBe(keccak256(toUtf8Bytes(written)))
    expect(gatewayOutputHash('Goed, José.')).toBe(keccak256(toUtf8Bytes('Goed, José.')))
  })

  it('writes the temperature as a float, and 0.0 where there is none, as gateways do', () => {
    const { temperature: _, ...without } = REQUEST
    const written = (temperature: unknown): string | undefined =>
      /"temperature": (.*)\}$/.exec(gatewayText({ ...without, temperature }))?.[1]
    expect([0, 1, 2, 0.7, 1.5, 0.00001, undefined, null].map(written)).toEqual([
      '0.0',
      '1.0',
      '2.0',
      '0.7',
      '1.5',
      '1e-05',
      '0.0',
      '0.0',
    ])
    expect(gatewayInputHash(without)).toBe(gatewayInputHash(REQUEST))
    expect(gatewayText({ ...without, max_tokens: 5 })).toContain('"max_tokens": 5,')
  })

  it.each([
    ['a member that some gateways leave out', { seed: 1 }, 'request.seed'],
    ['a stream', { stream: false }, 'request.stream'],
    ['a bound that is null', { max_tokens: null }, 'request.max_tokens'],
    ['no tools', { tools: [] }, 'request.tools'],
    ['an empty stop', { stop: '' }, 'request.stop'],
    ['a temperature as text', { temperature: '0.7' }, 'request.temperature'],
    ['no messages', { messages: undefined }, 'request.messages'],
    ['an empty list of messages', { messages: [] }, 'request.messages'],
    ['a role of its own', { messages: [{ role: 'developer', content: 'a' }] }, 'request.messages[0].role'],
    ['parts', { messages: [{ role: 'user', content: [] }] }, 'request.messages[0].content'],
    ['a name', { messages: [{ role: 'user', content: 'a', name: 'b' }] }, 'request.messages[0]'],
  ])('refuses %s, since gateways hash it in different ways', (_, change, field) => {
    expect(refusalOf(() => gatewayInputHash({ ...REQUEST, ...change })).field).toBe(field)
  })

  it('is keccak256(inputHash ‖ outputHash ‖ uint256 timestamp), and its leaf the tree of one', () => {
    const receipt = { inputHash: WORD, outputHash: gatewayOutputHash('a'), timestamp: 1_800_000_000 }
    const digest = solidityPackedKeccak256(
      ['bytes32', 'bytes32', 'uint256'],
      [receipt.inputHash, receipt.outputHash, receipt.timestamp],
    )
    expect(gatewayDigest(receipt)).toBe(digest)
    expect(gatewayLeaf(receipt)).toBe(solidityPackedKeccak256(['bytes1', 'bytes32'], ['0x00', digest]))
    expect(refusalOf(() => gatewayDigest({ ...receipt, timestamp: 1.5 })).field).toBe('timestamp')
    expect(refusalOf(() => gatewayDigest({ ...receipt, inputHash: '0x' })).field).toBe('inputHash')
  })
})

describe('a payment reference', () => {
  const reference = gatewayReference(ORDER)

  it('stands for chain, escrow, payer and nonce', () => {
    const encoded = AbiCoder.defaultAbiCoder().encode(
      ['bytes32', 'address', 'uint256'],
      [orderSeed(ORDER), ORDER.payer, ORDER.nonce],
    )
    expect(reference).toBe(keccak256(encoded))
    const others = [
      { ...ORDER, chainId: 1n },
      { ...ORDER, escrow: ORDER.payer },
      { ...ORDER, payer: ORDER.escrow },
      { ...ORDER, nonce: 8n },
    ]
    expect(new Set([reference, ...others.map(gatewayReference)]).size).toBe(5)
  })

  it('makes two equal requests two: a stranger’s receipt does not pay this order', () => {
    const mine = withGatewayReference(REQUEST, reference)
    const other = withGatewayReference(REQUEST, gatewayReference({ ...ORDER, nonce: 8n }))
    expect(new Set([REQUEST, mine, other].map(gatewayInputHash)).size).toBe(3)
  })

  it('is the first line of the system message, which is made if there is none', () => {
    const line = `Payment reference ${reference}.`
    expect(withGatewayReference(REQUEST, reference)).toEqual({
      ...REQUEST,
      messages: [{ role: 'system', content: line }, ...REQUEST.messages],
    })
    const system = { role: 'system', content: 'Be brief.', name: 's' }
    const asked = { ...REQUEST, messages: [system, ...REQUEST.messages] }
    const bound = withGatewayReference(asked, reference)
    expect(bound.messages).toEqual([{ ...system, content: `${line}\nBe brief.` }, ...REQUEST.messages])
    expect(gatewayReferenceOf(bound)).toBe(reference)
    expect(gatewayReferenceOf(withGatewayReference(REQUEST, reference))).toBe(reference)
    expect(asked.messages[0]).toBe(system)
  })

  it.each([
    ['no message', []],
    ['none', REQUEST.messages],
    ['a user’s', [{ role: 'user', content: `Payment reference ${WORD}.` }]],
    ['one that is not first', [{ role: 'system', content: `Hi. Payment reference ${WORD}.` }]],
    ['one with more on its line', [{ role: 'system', content: `Payment reference ${WORD}. Hi.` }]],
    ['a short one', [{ role: 'system', content: `Payment reference ${WORD.slice(0, -1)}.` }]],
    ['parts', [{ role: 'system', content: [{ type: 'text', text: `Payment reference ${WORD}.` }] }]],
  ])('is not found in %s', (_, messages) => {
    expect(gatewayReferenceOf({ messages })).toBeUndefined()
  })

  it('is put in once, into a text', () => {
    const bound = withGatewayReference(REQUEST, reference)
    expect(refusalOf(() => withGatewayReference(bound, WORD)).field).toBe('request.messages[0]')
    const parts = { messages: [{ role: 'system', content: [] }] }
    expect(refusalOf(() => withGatewayReference(parts, WORD)).field).toBe('request.messages[0].content')
    expect(refusalOf(() => withGatewayReference(REQUEST, '0x12')).field).toBe('reference')
  })
})
