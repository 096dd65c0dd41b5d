import { InvalidInputError, parseAddress, parseBaseUnits, parseOpg, type Address } from '@opg/protocol'
import type { AssetAmount, Price } from '@x402/core/types'

/**
 * Reads a price in OPG: `"0.01 OPG"`, `"0.01"`, `0.01`, or base units as x402's `{ asset, amount }`. Dollars are refused:
 * nobody here knows what OPG is worth.
 *
 * @throws {InvalidInputError}
 */
export function readPrice(price: Price, token: Address): AssetAmount {
  if (typeof price === 'object') {
    const asset = parseAddress(price.asset, 'price.asset')
    if (asset !== token) throw new InvalidInputError({ field: 'price.asset', expected: `OPG, ${token}`, value: asset })
    const amount = parseBaseUnits(price.amount, 'price.amount')
    if (amount === 0n) throw new InvalidInputError({ field: 'price.amount', expected: 'above 0', value: amount })
    return { ...price, asset, amount: amount.toString() }
  }
  const text = String(price).replace(/ ?OPG$/, '')
  return { asset: token, amount: parseOpg(text, 'price').toString() }
}
