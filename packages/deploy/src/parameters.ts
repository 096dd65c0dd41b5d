import { InvalidInputError, MAX_NETWORK_BPS, parseAddress, ZERO_ADDRESS } from '@opg/protocol'
import { type BaseWallet, HDNodeWallet, Wallet } from 'ethers'
import { SettingInvalidError } from './errors.js'
import type { Network } from './networks.js'

type Address = `0x${string}`
type Environment = Readonly<Record<string, string | undefined>>

/** What a deployment can be given. */
export interface Parameters {
  /** Owner of the fee policy. */
  readonly owner: Address
  readonly networkRecipient: Address
  /** The network's share of each fee, in basis points, at most 1,000. */
  readonly networkBps: number
  /** Undefined: a local chain, which gets a development token and registry. */
  readonly external?: { readonly token: Address; readonly teeRegistry: Address | null } | undefined
}

/** What the environment says of one network. */
export interface Settings {
  readonly rpcUrl: string
  readonly wallet: BaseWallet
  readonly parameters: Parameters
}

const DEFAULT_NETWORK_BPS = 500

/** What local chains make their accounts from. It is public: nothing of value may ever belong to its keys. */
export const DEV_MNEMONIC = 'test test test test test test test test test test test junk'

/** Reads the settings of a network. Errors name the variable. @throws {InvalidInputError} */
export function readSettings(network: Network, env: Environment): Settings {
  const wallet = readWallet(network, env)
  const deployer = parseAddress(wallet.address)
  return {
    rpcUrl: readUrl(network, env),
    wallet,
    parameters: {
      owner: readAddress(env, 'DEPLOY_OWNER') ?? deployer,
      networkRecipient: readAddress(env, 'DEPLOY_NETWORK_RECIPIENT') ?? deployer,
      networkBps: readBps(env, 'DEPLOY_NETWORK_BPS'),
      external: readExternal(network, env),
    },
  }
}

function readExternal(network: Network, env: Environment): Parameters['external'] {
  if (network.external === undefined) {
    for (const field of ['DEPLOY_TOKEN', 'DEPLOY_TEE_REGISTRY']) {
      const value = read(env, field)
      if (value === undefined) continue
      throw new InvalidInputError({ field, expected: `unset for ${network.name}, which gets its own`, value })
    }
    return undefined
  }
  const registry = read(env, 'DEPLOY_TEE_REGISTRY')
  return {
    token: readAddress(env, 'DEPLOY_TOKEN') ?? network.external.token,
    teeRegistry: registry === 'none' ? null : (readAddress(env, 'DEPLOY_TEE_REGISTRY') ?? network.external.teeRegistry),
  }
}

function readWallet(network: Network, env: Environment): BaseWallet {
  const variable = 'DEPLOYER_PRIVATE_KEY'
  const key = read(env, variable)
  if (key === undefined && network.external === undefined) return HDNodeWallet.fromPhrase(DEV_MNEMONIC)
  const expected = 'a private key, 0x and 64 hexadecimal digits'
  if (key === undefined || !/^0x[0-9a-fA-F]{64}$/.test(key)) throw new SettingInvalidError({ variable, expected })
  try {
    return new Wallet(key)
  } catch {
    throw new SettingInvalidError({ variable, expected: 'from 1 to below the order of secp256k1' })
  }
}

function readUrl(network: Network, env: Environment): string {
  const url = read(env, network.rpcUrlVariable) ?? network.defaultRpcUrl
  if (URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol)) return url
  throw new SettingInvalidError({ variable: network.rpcUrlVariable, expected: 'an http or https URL' })
}

function readAddress(env: Environment, field: string): Address | undefined {
  const value = read(env, field)
  if (value === undefined) return undefined
  const address = parseAddress(value, field)
  if (address === ZERO_ADDRESS) throw new InvalidInputError({ field, expected: 'an address other than zero', value })
  return address
}

function readBps(env: Environment, field: string): number {
  const value = read(env, field)
  if (value === undefined) return DEFAULT_NETWORK_BPS
  const bps = /^(0|[1-9]\d{0,4})$/.test(value) ? Number(value) : Number.NaN
  if (!(bps <= MAX_NETWORK_BPS)) {
    throw new InvalidInputError({ field, expected: `whole basis points from 0 to ${String(MAX_NETWORK_BPS)}`, value })
  }
  return bps
}

/** An empty variable is an unset one: that is how shells and CI leave them. */
function read(env: Environment, field: string): string | undefined {
  const value = env[field]?.trim()
  return value === '' ? undefined : value
}
