import { SELLER_MEMBER, parseBytes, parseObject } from '@opg/protocol'
import type { StoredBody } from './sessionDesk.js'

const MAX_BODY_BYTES = 2 ** 26

const read = parseObject({
  body: parseBytes({ min: 0, max: MAX_BODY_BYTES }),
  contentType: (value: unknown): string => (typeof value === 'string' ? value : 'application/octet-stream'),
})

/** An answer on its way between the seller's server and its local facilitator, as JSON. */
export function writeAnswer({ body, contentType }: StoredBody): {
  readonly body: string
  readonly contentType: string
} {
  return { body: `0x${Buffer.from(body).toString('hex')}`, contentType }
}

/** @throws {InvalidInputError} */
export function readAnswer(value: unknown): StoredBody {
  const { body, contentType } = read(value, SELLER_MEMBER)
  return { body: Buffer.from(body.slice(2), 'hex'), contentType }
}
