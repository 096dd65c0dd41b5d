import { describe, expect, it } from 'vitest'
import { gatewayInputHash, gatewayOutputHash, gatewayText } from '@opg/protocol'
import { gatewayAnswer, gatewayIdentity, type GatewayScript } from '../../test/standInGateway.js'
import { gatewayKey } from './gatewayKey.js'

const REQUEST = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }
const [OPENED, NOW] = [1_800_000_000, 1_800_003_600]
const identity = gatewayIdentity()
const { teeId } = identity
const isEnabled = () => Promise.resolve(true)
const key = gatewayKey({ teeId, der: `0x${identity.der.toString('hex')}`, isEnabled })

function judge(script: Partial<GatewayScript> = {}, by = identity): string {
  const body = Buffer.from(gatewayAnswer(by, gatewayText(REQUEST), { text: 'hello', timestamp: NOW, ...script }))
  return key.judge(body, { inputHash: gatewayInputHash(REQUEST), openedAt: OPENED, now: NOW }).status
}

describe('a gateway’s answer', () => {
  it('is proved by its signature, and gives the receipt', () => {
    const body = Buffer.from(gatewayAnswer(identity, gatewayText(REQUEST), { text: 'hello', timestamp: NOW }))
    const inputHash = gatewayInputHash(REQUEST)
    const receipt = { inputHash, outputHash: gatewayOutputHash('hello'), timestamp: NOW }
    expect(key.judge(body, { inputHash, openedAt: OPENED, now: NOW })).toEqual({ status: 'proved', receipt })
  })

  it.each([
    ['61 s before the opening', OPENED - 61, 'unproved'],
    ['60 s before the opening', OPENED - 60, 'proved'],
    ['60 s from now', NOW + 60, 'proved'],
    ['61 s from now', NOW + 61, 'unproved'],
  ])('signed for %s', (_, timestamp, status) => {
    expect(judge({ timestamp })).toBe(status)
  })

  it('is not proved by another key, another text, or no JSON', () => {
    expect(judge({}, gatewayIdentity())).toBe('unproved')
    expect(judge({ signedText: 'hello!' })).toBe('unproved')
    const question = { inputHash: gatewayInputHash(REQUEST), openedAt: OPENED, now: NOW }
    for (const body of ['', 'no json', '[]']) expect(key.judge(Buffer.from(body), question).status).toBe('unproved')
  })

  it('needs the key that the teeId commits to', () => {
    const der = `0x${gatewayIdentity().der.toString('hex')}` as const
    for (const wrong of [der, '0x', '0x1234'] as const) {
      expect(() => gatewayKey({ teeId, der: wrong, isEnabled })).toThrow(
        expect.objectContaining({ code: 'KEY_UNUSABLE' }),
      )
    }
  })
})
