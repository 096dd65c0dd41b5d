import type { EthereumProvider } from 'hardhat/types'
import { SourceInvalidError } from '../solidity/errors.js'

/** A step of the EVM as Hardhat's network tells it. */
interface Step {
  readonly opcode: { readonly name: string }
  readonly stack: readonly bigint[]
}

interface StepSource {
  on(event: 'step', listener: (step: Step) => void): void
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function isStepSource(value: unknown): value is StepSource {
  return typeof memberOf(value, 'on') === 'function'
}

/** Calls `listener` with every eight bytes that any contract pushes. Hardhat has no public way to see steps. */
export async function onPush8(provider: EthereumProvider, listener: (value: bigint) => void): Promise<void> {
  await provider.request({ method: 'eth_chainId' }) // the network starts with its first request
  let inner: unknown = provider
  for (let next = memberOf(inner, '_wrapped'); next !== undefined; next = memberOf(inner, '_wrapped')) inner = next
  const path = ['_node', '_vm', 'evm', 'events']
  const events = path.reduce<unknown>(memberOf, inner)
  if (!isStepSource(events)) throw new SourceInvalidError(`Hardhat's network has no ${path.join('.')}: was it updated?`)
  // A step shows the stack before it: what was pushed is there one step later.
  let isPushed = false
  events.on('step', ({ opcode, stack }) => {
    const top = isPushed ? stack.at(-1) : undefined
    if (top !== undefined) listener(top)
    isPushed = opcode.name === 'PUSH8'
  })
}
