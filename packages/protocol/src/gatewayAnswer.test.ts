import { describe, expect, it } from 'vitest'
import { refusalOf } from '../test/refusal.js'
import { parseGatewayAnswer } from './gatewayAnswer.js'

const CALL = { type: 'function', id: 'c1', function: { name: 'weather', arguments: '{"city": "Malmö"}' } }

function completion(message: unknown, changes: object = {}, finish = 'stop'): unknown {
  const choices = [{ index: 0, message, finish_reason: finish }]
  return { id: 'c', choices, tee_signature: 'aGk=', tee_timestamp: 1_800_000_000, tee_id: '0x12', ...changes }
}

describe('parseGatewayAnswer', () => {
  it('reads the text, the time and the signature', () => {
    const answer = parseGatewayAnswer(completion({ role: 'assistant', content: 'Goed, José.' }))
    expect(answer).toEqual({ text: 'Goed, José.', timestamp: 1_800_000_000, signature: 'aGk=' })
  })

  it('reads calls of tools as Python writes them, which is what a gateway hashes then', () => {
    const { text } = parseGatewayAnswer(completion({ content: '', tool_calls: [CALL] }, {}, 'tool_calls'))
    expect(text).toBe(
      '[{"function": {"arguments": "{\\"city\\": \\"Malm\\u00f6\\"}", "name": "weather"}, "id": "c1", "type": "function"}]',
    )
    // What the gateway did not end with, it did not hash.
    expect(parseGatewayAnswer(completion({ content: 'Rain.', tool_calls: [CALL] })).text).toBe('Rain.')
    expect(parseGatewayAnswer(completion({ content: 'Rain.', tool_calls: [] }, {}, 'tool_calls')).text).toBe('Rain.')
  })

  it.each([
    ['nothing', undefined, 'choices'],
    ['a list', [], 'choices'],
    ['two choices, of which one is signed', completion({ content: 'a' }, { choices: [{}, {}] }), 'choices'],
    ['no signature', completion({ content: 'a' }, { tee_signature: undefined }), 'tee_signature'],
    ['a signature that is no base64', completion({ content: 'a' }, { tee_signature: 'a===' }), 'tee_signature'],
    ['a signature without end', completion({ content: 'a' }, { tee_signature: 'AAAA'.repeat(172) }), 'tee_signature'],
    ['a time as text', completion({ content: 'a' }, { tee_timestamp: '1800000000' }), 'tee_timestamp'],
    ['a time with a fraction', completion({ content: 'a' }, { tee_timestamp: 1.5 }), 'tee_timestamp'],
    ['a time of the far future', completion({ content: 'a' }, { tee_timestamp: 2 ** 40 }), 'tee_timestamp'],
    ['no text', completion({ content: null }), 'choices[0].message.content'],
    ['no message', completion(undefined), 'choices[0].message.content'],
  ])('refuses %s', (_, answer, field) => {
    expect(refusalOf(() => parseGatewayAnswer(answer)).field).toBe(field)
  })
})
