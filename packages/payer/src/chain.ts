import { type Interface, type Provider, type Signer, type TransactionReceipt, isError } from 'ethers'
import { type Address, type Hex, InvalidInputError } from '@opg/protocol'
import { ChainUnavailableError, ContractNotFoundError } from './errors.js'
import { waitForReceipt } from './waitForReceipt.js'

/** A call of a contract. */
export interface ContractCall {
  readonly to: Address
  readonly data: string
}

/** Why a contract refused a call: the error's name where one of the interfaces knows it, else its selector. */
export interface Revert {
  readonly reason: string
  readonly detail: string
}

/** What became of a transaction. `returned` is what the simulation before it gave back. */
export type Transacted =
  | { readonly status: 'mined'; readonly receipt: TransactionReceipt; readonly returned: string }
  | { readonly status: 'reverted'; readonly revert: Revert }

/** Asks the chain. A failure that is not a contract's own refusal is "unavailable", never "invalid". */
export async function askChain<T>(action: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    if (isContractFault(cause) || cause instanceof ChainUnavailableError) throw cause
    throw new ChainUnavailableError({ action, cause })
  }
}

/**
 * Asks a contract what it always answers, if it is the one that it should be.
 *
 * @throws {ContractNotFoundError} {@link ChainUnavailableError}
 */
export async function askContract<T>(
  provider: Provider,
  contract: { readonly field: string; readonly address: Address; readonly action: string },
  ask: () => Promise<T>,
): Promise<T> {
  const { field, address, action } = contract
  try {
    return await askChain(action, ask)
  } catch (cause) {
    if (!isContractFault(cause)) throw cause
    const { chainId } = await askChain('name its chain', () => provider.getNetwork())
    throw new ContractNotFoundError({ field, address, chainId, cause })
  }
}

/** Whether a contract refused, or gave what it would not give if it were the one that was expected. */
export function isContractFault(error: unknown): boolean {
  return isError(error, 'CALL_EXCEPTION') || isError(error, 'BAD_DATA')
}

/** The provider behind a signer. @throws {InvalidInputError} */
export function providerOf(signer: Signer): Provider {
  if (signer.provider === null) {
    throw new InvalidInputError({ field: 'signer', expected: 'connected to a provider', value: null })
  }
  return signer.provider
}

/** Simulates a call as the signer's. */
export async function simulate(
  signer: Signer,
  {
    call,
    interfaces,
    action,
  }: { readonly call: ContractCall; readonly interfaces: readonly Interface[]; readonly action: string },
): Promise<
  { readonly status: 'returned'; readonly data: string } | { readonly status: 'reverted'; readonly revert: Revert }
> {
  try {
    const data = await askChain(action, () => signer.call({ to: call.to, data: call.data }))
    return { status: 'returned', data }
  } catch (error) {
    const revert = revertOf(error, interfaces)
    if (revert === undefined) throw error
    return { status: 'reverted', revert }
  }
}

/** Simulates, estimates, sends and waits for one confirmation. The limit is the estimate and a twentieth of it, or more. */
export async function transact(
  signer: Signer,
  options: {
    readonly call: ContractCall
    readonly interfaces: readonly Interface[]
    readonly action: string
    /** Whether to send at all, by what the simulation returned. */
    readonly isWorthwhile?: (returned: string) => boolean
    /**
     * For calls that succeed with too little gas as well, and do less then: whether the call does all that it should, by
     * what a simulation under the limit returned, and the gas that is certainly enough on top of the estimate.
     */
    readonly completeness?: { readonly isComplete: (returned: string) => boolean; readonly gasOnTop: bigint }
  },
): Promise<Transacted | { readonly status: 'not-sent'; readonly returned: string }> {
  const { call, interfaces, action } = options
  const simulated = await simulate(signer, { call, interfaces, action })
  if (simulated.status === 'reverted') return simulated
  if (options.isWorthwhile?.(simulated.data) === false) return { status: 'not-sent', returned: simulated.data }
  try {
    const receipt = await askChain(action, async () => {
      const gasLimit = await gasLimitOf(signer, options)
      const sent = await signer.sendTransaction({ to: call.to, data: call.data, gasLimit })
      return waitForReceipt(sent)
    })
    return { status: 'mined', receipt, returned: simulated.data }
  } catch (error) {
    const revert = revertOf(error, interfaces)
    if (revert === undefined) throw error
    return { status: 'reverted', revert }
  }
}

/** An estimate finds the least gas with which a call succeeds, so what would do less with it is given more. */
async function gasLimitOf(
  signer: Signer,
  { call, completeness }: Pick<Parameters<typeof transact>[1], 'call' | 'completeness'>,
): Promise<bigint> {
  const estimate = await signer.estimateGas({ to: call.to, data: call.data })
  const least = estimate + estimate / 20n
  if (completeness === undefined) return least
  const most = least + completeness.gasOnTop
  for (let gasLimit = least; gasLimit < most; gasLimit += gasLimit / 4n) {
    const returned = await signer.call({ to: call.to, data: call.data, gasLimit }).catch((error: unknown) => {
      if (isContractFault(error)) return undefined // it ran out of gas
      throw error
    })
    if (returned !== undefined && completeness.isComplete(returned)) return gasLimit
  }
  return most
}

/** The transaction's hash as `Hex`. */
export function hashOf(receipt: TransactionReceipt): Hex {
  return asHex(receipt.hash)
}

/** A string that ethers promises to be hexadecimal. */
export function asHex(text: string): Hex {
  return `0x${text.slice(2)}`
}

function revertOf(error: unknown, interfaces: readonly Interface[]): Revert | undefined {
  if (!isError(error, 'CALL_EXCEPTION')) return undefined
  const data = error.data ?? ''
  // Selector zero of an interface never decodes foreign data: ethers matches the four bytes.
  if (data.length >= 10) {
    for (const contract of interfaces) {
      const parsed = parseError(contract, data)
      if (parsed !== undefined) return parsed
    }
    return { reason: data.slice(0, 10), detail: `the contract refused with ${data.slice(0, 10)}` }
  }
  return { reason: 'Reverted', detail: error.reason ?? 'the contract refused and gave no reason' }
}

function parseError(contract: Interface, data: string): Revert | undefined {
  try {
    const parsed = contract.parseError(data)
    if (parsed === null) return undefined
    if (parsed.name === 'Error') return { reason: 'Error', detail: String(parsed.args[0]) }
    const values = parsed.fragment.inputs.map((input, i) => `${input.name} ${String(parsed.args[i])}`)
    return { reason: parsed.name, detail: values.length === 0 ? parsed.name : `${parsed.name}: ${values.join(', ')}` }
  } catch {
    return undefined // four bytes of an error that is known, and arguments that are not its
  }
}
