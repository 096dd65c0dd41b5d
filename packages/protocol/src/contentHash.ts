import sha3 from 'js-sha3'
import { InvalidInputError } from './errors.js'
import type { Hex } from './types.js'

/** Takes content piece by piece. `digest` ends it. */
export interface ContentHasher {
  update(bytes: Uint8Array): void
  digest(): Hex
}

// A path ends at the first byte 0x0a, so it must hold none; the rest keeps paths in the one form that servers route by.
const PATH = /^\/[\x21\x22\x24-\x3e\x40-\x7e]*$/

/**
 * Hashes a request as it arrives: `keccak256(utf8(path) ‖ 0x0a ‖ body)`.
 * `path` is the URL's path without query, as sent (`/v1/infer`).
 *
 * @throws {InvalidInputError} if the path does not begin with `/`, or holds a space, `?`, `#` or a non-ASCII character
 */
export function requestHasher(path: string): ContentHasher {
  if (!PATH.test(path)) {
    throw new InvalidInputError({
      field: 'path',
      expected: 'a URL path in ASCII without query, like /v1/infer',
      value: path,
    })
  }
  const hasher = responseHasher()
  hasher.update(new TextEncoder().encode(`${path}\n`))
  return hasher
}

/** Hashes an answer as it leaves: `keccak256(body)`; of a stream, all bytes sent before the receipt event. */
export function responseHasher(): ContentHasher {
  const state = sha3.keccak256.create()
  return {
    update: (bytes) => {
      state.update(bytes)
    },
    digest: () => `0x${state.hex()}`,
  }
}

/** `requestHash` of a request whose body is at hand. @throws {InvalidInputError} as `requestHasher` does */
export function requestHash(path: string, body: Uint8Array): Hex {
  const hasher = requestHasher(path)
  hasher.update(body)
  return hasher.digest()
}

/** `responseHash` of an answer whose body is at hand. */
export function responseHash(body: Uint8Array): Hex {
  const hasher = responseHasher()
  hasher.update(body)
  return hasher.digest()
}
