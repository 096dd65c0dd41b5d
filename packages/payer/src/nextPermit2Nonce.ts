import { permit2Abi } from '@opg/bindings'
import { Interface, type Provider } from 'ethers'
import { type Address, PERMIT2, parseAddress } from '@opg/protocol'
import { askContract } from './chain.js'
import { NonceNotFoundError } from './errors.js'
import { checkUint } from './input.js'

const WORDS_SEARCHED = 64
const WORD_BITS = 256n
const permit2 = new Interface(permit2Abi)

/**
 * The payer's lowest free Permit2 nonce. Nonces that follow each other share a word of Permit2's storage, which saves
 * 17,500 gas for each order but the first of 256.
 *
 * Permit2 knows only nonces that were used: name in `inFlight` those of orders that are signed and not open yet, or two
 * orders get the same nonce and one of them never opens.
 *
 * @throws {InvalidInputError} {@link NonceNotFoundError} {@link ContractNotFoundError} {@link ChainUnavailableError}
 */
export async function nextPermit2Nonce(
  provider: Provider,
  options: { readonly payer: Address; readonly inFlight?: Iterable<bigint>; readonly firstWord?: bigint },
): Promise<bigint> {
  const payer = parseAddress(options.payer, 'payer')
  const firstWord = checkUint(options.firstWord ?? 0n, { field: 'firstWord', bits: 247 })
  const inFlight = new Set(options.inFlight ?? [])
  for (let i = 0; i < WORDS_SEARCHED; i++) {
    const word = firstWord + BigInt(i)
    const nonce = lowestFree({ word, used: await readBitmap(provider, { payer, word }), inFlight })
    if (nonce !== undefined) return nonce
  }
  throw new NonceNotFoundError({ payer, firstWord, words: WORDS_SEARCHED })
}

/** The lowest nonce of a word that is neither used nor in flight. */
export function lowestFree(input: {
  readonly word: bigint
  readonly used: bigint
  readonly inFlight: ReadonlySet<bigint>
}): bigint | undefined {
  for (let bit = 0n; bit < WORD_BITS; bit++) {
    const nonce = input.word * WORD_BITS + bit
    if (((input.used >> bit) & 1n) === 0n && !input.inFlight.has(nonce)) return nonce
  }
  return undefined
}

async function readBitmap(
  provider: Provider,
  { payer, word }: { readonly payer: Address; readonly word: bigint },
): Promise<bigint> {
  const contract = { field: 'permit2', address: PERMIT2, action: 'read Permit2 nonces' }
  return askContract(provider, contract, async () => {
    const data = await provider.call({ to: PERMIT2, data: permit2.encodeFunctionData('nonceBitmap', [payer, word]) })
    const [bitmap] = permit2.decodeFunctionResult('nonceBitmap', data)
    return BigInt(String(bitmap))
  })
}
