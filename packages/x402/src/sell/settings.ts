import { InvalidInputError, parseDeployment, type Address } from '@opg/protocol'
import type { Price } from '@x402/core/types'
import type { Signer } from 'ethers'
import { readPrice } from '../price.js'
import { SellerSettingError } from './errors.js'
import type { EscrowUptoOptions } from './escrowUpto.js'

/**
 * Refuses what could not sell, before anything is asked of the chain: settings come from environments, where types do not
 * reach.
 *
 * @throws {SellerSettingError}
 */
export function checkSettings(options: EscrowUptoOptions): void {
  const { signer, rpc, facilitator, deployment, outbox, direct, confirmations, limits = {} } = options
  need('signer', signer, { expected: 'an ethers wallet, or what has getAddress and signTypedData', isRight: isSigner })
  need('rpc', rpc, {
    expected: 'an http(s) URL, or a JsonRpcProvider of ethers',
    isRight: (value) => isHttpUrl(value) || has(value, 'send', 'getNetwork'),
  })
  need('facilitator', facilitator, {
    expected: 'an http(s) URL, or a FacilitatorClient of x402',
    isRight: (value) => isHttpUrl(value) || has(value, 'settle', 'verify', 'getSupported'),
  })
  if (deployment !== undefined) parsed(() => parseDeployment(deployment, 'deployment'))
  if (outbox !== undefined) {
    need('outbox', outbox, {
      expected: 'fileOutbox(path) or memoryOutbox()',
      isRight: (value) => has(value, 'load', 'put', 'remove'),
    })
  }
  if (direct !== undefined) checkSender('direct.signer', direct.signer)
  if (confirmations !== undefined) {
    need('confirmations', confirmations, {
      expected: 'a whole number of blocks, 1 or more',
      isRight: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
    })
  }
  for (const [name, limit] of Object.entries(limits)) {
    need(`limits.${name}`, limit, {
      expected: 'a number of milliseconds, 0 or more',
      isRight: (value) => Number.isFinite(value) && Number(value) >= 0,
    })
  }
}

/** Of who pays for a transaction. @throws {SellerSettingError} */
export function checkSender(setting: string, sender: unknown): asserts sender is Signer {
  need(setting, sender, {
    expected: 'an ethers wallet that owns the native coin',
    isRight: (value) => has(value, 'getAddress', 'sendTransaction', 'connect'),
  })
}

/** Of one route: what would fail at its first request otherwise. @throws {SellerSettingError} */
export function checkRoute(
  { price, maxTimeoutSeconds }: { readonly price: unknown; readonly maxTimeoutSeconds: number | undefined },
  token: Address,
): void {
  parsed(() => readPrice(isPrice(price) ? price : String(price), token), {
    price: 'an amount of OPG like "0.05 OPG", above 0 and never in dollars',
  })
  if (maxTimeoutSeconds === undefined) return
  need('maxTimeoutSeconds', maxTimeoutSeconds, {
    expected: 'a whole number of seconds, 1 or more',
    isRight: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
  })
}

/** @param expectations by field, where they are plainer than the reader's own */
function parsed(read: () => unknown, expectations: Readonly<Record<string, string>> = {}): void {
  try {
    read()
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    const { field, expected, found } = error
    throw new SellerSettingError(field, { expected: expectations[field] ?? expected, found })
  }
}

function need(
  setting: string,
  value: unknown,
  { expected, isRight }: { readonly expected: string; readonly isRight: (value: unknown) => boolean },
): void {
  if (isRight(value)) return
  // It describes a value without telling a key.
  const { found } = new InvalidInputError({ field: setting, expected, value })
  throw new SellerSettingError(setting, { expected, found })
}

const isSigner = (value: unknown): boolean => has(value, 'getAddress', 'signTypedData')

/** As far as `readPrice` takes it. */
function isPrice(value: unknown): value is Price {
  return typeof value === 'object' ? value !== null : typeof value === 'number'
}

function isHttpUrl(value: unknown): boolean {
  return typeof value === 'string' && /^https?:\/\//i.test(value) && URL.canParse(value)
}

function has(value: unknown, ...methods: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return methods.every((name) => typeof (value as Readonly<Record<string, unknown>>)[name] === 'function')
}
