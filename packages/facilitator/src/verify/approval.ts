import {
  EIP2612_EXTENSION,
  InvalidInputError,
  PERMIT2,
  parseAddress,
  parseBytes,
  parseUint,
  type Address,
} from '@opg/protocol'
import type { Eip2612Approval } from '../engine/types.js'
import type { Candidate, CheckContext } from './candidate.js'
import { invalid, type Invalid } from './reasons.js'

const uint256 = parseUint(256)
const signature = parseBytes({ min: 65, max: 65 })

/**
 * The approval that a client signed along with its payment, `extensions.eip2612GasSponsoring.info`; undefined where it
 * sent none. Whether the token takes it, the simulation says.
 */
export function readApproval(
  extensions: Readonly<Record<string, unknown>>,
  context: CheckContext & { readonly opening: Candidate['opening']; readonly token: Address },
): Eip2612Approval | Invalid | undefined {
  const info = infoOf(extensions[EIP2612_EXTENSION])
  if (info === undefined) return undefined
  const { payer, amount } = context.opening.order
  try {
    return check(info, context)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return invalid('invalid_eip2612_extension_format', error.message, payer)
  }

  function check(
    source: Readonly<Record<string, unknown>>,
    { token, nowSeconds, marginSeconds }: typeof context,
  ): Eip2612Approval | Invalid {
    const field = `extensions.${EIP2612_EXTENSION}.info`
    if (parseAddress(source.from, `${field}.from`) !== payer) {
      return invalid('eip2612_from_mismatch', `${field}.from must be the payer, ${payer}.`, payer)
    }
    if (parseAddress(source.asset, `${field}.asset`) !== token) {
      return invalid('eip2612_asset_mismatch', `${field}.asset must be OPG, ${token}.`, payer)
    }
    if (parseAddress(source.spender, `${field}.spender`) !== PERMIT2) {
      return invalid('eip2612_spender_not_permit2', `${field}.spender must be Permit2, ${PERMIT2}.`, payer)
    }
    const value = uint256(source.amount, `${field}.amount`)
    if (value < amount) {
      return invalid(
        'permit2_2612_amount_mismatch',
        `${field}.amount must be at least ${amount.toString()} base units, and it is ${value.toString()}.`,
        payer,
      )
    }
    const deadline = uint256(source.deadline, `${field}.deadline`)
    if (deadline < BigInt(nowSeconds + marginSeconds)) {
      return invalid(
        'eip2612_deadline_expired',
        `${field}.deadline must be ${String(marginSeconds)} seconds away, and it is ${deadline.toString()}.`,
        payer,
      )
    }
    return { value, deadline, signature: signature(source.signature, `${field}.signature`) }
  }
}

/** Servers offer the extension with a description of it under `info`; what a client did not sign has no signature. */
function infoOf(extension: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof extension !== 'object' || extension === null || !('info' in extension)) return undefined
  const { info } = extension
  if (typeof info !== 'object' || info === null || !('signature' in info)) return undefined
  return info
}
