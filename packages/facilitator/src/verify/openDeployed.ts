import { InferenceEscrow__factory, UptoAdapter__factory } from '@opg/bindings'
import { ChainUnavailableError, WrongChainError } from '@opg/operator'
import { domainSeparator, orderSeed, type Deployment, type Hex } from '@opg/protocol'
import type { JsonRpcProvider } from 'ethers'
import type { Deployed } from './deployed.js'

/**
 * Reads what never changes of an escrow and its adapter, and checks that they belong together.
 *
 * @throws {WrongChainError} if other contracts stand at the deployment's addresses
 * @throws {ChainUnavailableError}
 */
export async function openDeployed(
  provider: JsonRpcProvider,
  { escrow, token, uptoAdapter }: Pick<Deployment, 'escrow' | 'token' | 'uptoAdapter'>,
): Promise<Deployed> {
  for (const [what, address] of [
    ['the escrow', escrow],
    ['the upto adapter', uptoAdapter],
  ] as const) {
    if (address !== null && (await asked('eth_getCode', () => provider.getCode(address))) === '0x') {
      throw new WrongChainError(`What stands at ${address}`, { expected: what, found: 'no code' })
    }
  }
  const contract = InferenceEscrow__factory.connect(escrow, provider)
  const [{ chainId }, deploymentChainId, itsToken, upto] = await asked('the escrow', () =>
    Promise.all([provider.getNetwork(), contract.deploymentChainId(), contract.TOKEN(), readAdapter()]),
  )
  expect("The escrow's token", { expected: token, found: itsToken })
  if (upto !== undefined) expect("The upto adapter's escrow", { expected: escrow, found: upto.escrow })
  return {
    chainId,
    deploymentChainId,
    escrow,
    token,
    separator: domainSeparator({ chainId, escrow }),
    seed: orderSeed({ chainId: deploymentChainId, escrow }),
    upto,
  }

  async function readAdapter(): Promise<(NonNullable<Deployed['upto']> & { readonly escrow: string }) | undefined> {
    if (uptoAdapter === null) return undefined
    const adapter = UptoAdapter__factory.connect(uptoAdapter, provider)
    const [hash, itsEscrow] = await Promise.all([adapter.DESK_INIT_CODE_HASH(), adapter.ESCROW()])
    return { adapter: uptoAdapter, deskInitCodeHash: hash as Hex, escrow: itsEscrow }
  }
}

function expect(what: string, { expected, found }: { readonly expected: string; readonly found: string }): void {
  if (expected !== found) throw new WrongChainError(what, { expected, found })
}

async function asked<T>(operation: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw new ChainUnavailableError(operation, { cause: error })
  }
}
