import { keccak256, toUtf8Bytes } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { refusalOf } from '../test/refusal.js'
import { requestHash, requestHasher, responseHash, responseHasher } from './contentHash.js'

describe('requestHash', () => {
  it('is the hash of path, line feed and body', () => {
    expect(requestHash('/v1/infer', toUtf8Bytes('{}'))).toBe(keccak256(toUtf8Bytes('/v1/infer\n{}')))
  })

  it('is the same however the body arrives', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (pieces) => {
        const hasher = requestHasher('/v1/infer')
        const answer = responseHasher()
        for (const piece of pieces) {
          hasher.update(piece)
          answer.update(piece)
        }
        expect(hasher.digest()).toBe(requestHash('/v1/infer', Buffer.concat(pieces)))
        expect(answer.digest()).toBe(responseHash(Buffer.concat(pieces)))
      }),
    )
  })

  it.each(['/v1/infer\n', '/a\n/b', 'v1/infer', '', '/v1/infer?x=1', '/v1#x', '/v 1', '/vé', '/\u0000', '/\u007f'])(
    'refuses the path %j, so that no line feed moves between path and body',
    (path) => {
      expect(refusalOf(() => requestHash(path, new Uint8Array())).field).toBe('path')
    },
  )
})

describe('responseHash', () => {
  it('of nothing is the hash of nothing', () => {
    expect(responseHash(new Uint8Array())).toBe(keccak256('0x'))
  })
})
