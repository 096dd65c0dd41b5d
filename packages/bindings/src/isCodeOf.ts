import { codes } from './generated/codes.js'

/** A contract whose deployed code is known. */
export type ContractName = keyof typeof codes

/**
 * Whether code read from a chain is that of the contract, up to what its constructor filled in. Read immutables through
 * their getters: here they may be anything.
 */
export function isCodeOf(contract: ContractName, code: string): boolean {
  const expected = codes[contract]
  return (
    code.length === expected.code.length &&
    masked(code, expected.immutables) === masked(expected.code, expected.immutables)
  )
}

function masked(code: string, immutables: readonly { readonly start: number; readonly length: number }[]): string {
  let text = code.toLowerCase()
  for (const { start, length } of immutables) {
    const from = 2 + 2 * start // two digits a byte, after 0x
    text = text.slice(0, from) + '0'.repeat(2 * length) + text.slice(from + 2 * length)
  }
  return text
}
