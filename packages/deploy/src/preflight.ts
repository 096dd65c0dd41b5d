import { IERC20Metadata__factory } from '@opg/bindings'
import { DETERMINISTIC_DEPLOYER, OPG_DECIMALS, PERMIT2 } from '@opg/protocol'
import { formatEther } from 'ethers'
import { artifactOf, DEPLOYABLES } from './artifacts.js'
import type { Chain } from './chain.js'
import { PreflightError } from './errors.js'
import type { Parameters } from './parameters.js'

/** Checks all that a deployment needs of the chain, before anything is sent. @throws {PreflightError} */
export async function preflight(chain: Chain, deployer: string, parameters: Parameters): Promise<void> {
  const { external } = parameters
  if (external === undefined) {
    await requireCode(
      chain,
      DETERMINISTIC_DEPLOYER,
      'the deterministic deployer. Use a chain that has it, as anvil has.',
    )
  } else {
    await requireCode(chain, PERMIT2, 'Permit2. Nothing can be deployed here before Permit2 is.')
    await requireToken(chain, external.token)
    if (external.teeRegistry !== null) {
      const advice = 'a registry of TEE keys. Set DEPLOY_TEE_REGISTRY to its address, or to none to go without.'
      await requireCode(chain, external.teeRegistry, advice)
    }
  }
  await requireFunds(chain, deployer)
}

async function requireCode(chain: Chain, address: string, what: string): Promise<void> {
  if ((await chain.provider.getCode(address)) !== '0x') return
  throw new PreflightError(`Chain ${String(chain.id)} has no code at ${address}, expected ${what}`)
}

async function requireToken(chain: Chain, token: string): Promise<void> {
  await requireCode(chain, token, 'an ERC-20. Set DEPLOY_TOKEN.')
  let decimals: bigint
  try {
    decimals = await IERC20Metadata__factory.connect(token, chain.provider).decimals()
  } catch {
    throw new PreflightError(`The contract at ${token} has no decimals(), expected an ERC-20. Set DEPLOY_TOKEN.`)
  }
  if (Number(decimals) === OPG_DECIMALS) return
  throw new PreflightError(
    `The token ${token} has ${String(decimals)} decimals, expected ${String(OPG_DECIMALS)}. Set DEPLOY_TOKEN.`,
  )
}

async function requireFunds(chain: Chain, deployer: string): Promise<void> {
  const [balance, fees] = await Promise.all([chain.provider.getBalance(deployer), chain.provider.getFeeData()])
  const needed = estimatedGas() * (fees.maxFeePerGas ?? fees.gasPrice ?? 0n)
  // Zero is refused even where gas costs nothing: it says that the key is not the one meant.
  if (balance > 0n && balance >= needed) return
  throw new PreflightError(
    `The deployer ${deployer} holds ${formatEther(balance)} of the native coin, and deploying may cost ${formatEther(needed)}. Fund it.`,
  )
}

/** An upper estimate, from what creating code of that length costs: 200 gas a byte kept, 16 a byte sent. */
function estimatedGas(): bigint {
  // The last two are for local chains.
  return DEPLOYABLES.slice(0, -2).reduce(
    (sum, name) => sum + BigInt(artifactOf(name).bytecode.length / 2) * 220n + 200_000n,
    0n,
  )
}
