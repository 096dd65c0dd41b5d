import { KeyUnusableError } from '@opg/operator'
import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto'
import { getBytes } from 'ethers'
import {
  type GatewayAnswer,
  type GatewayReceipt,
  type Hex,
  InvalidInputError,
  gatewayDigest,
  gatewayOutputHash,
  parseGatewayAnswer,
} from '@opg/protocol'
import { SALT_LENGTH, isUsableRsaKey, teeIdOf } from './rsaPssSigner.js'

/** Seconds by which a gateway's clock may differ from the chain's, as its verifier allows. */
const CLOCK_TOLERANCE_SECONDS = 60

/** What a gateway's receipt must be of. */
export interface GatewayQuestion {
  readonly inputHash: Hex
  /** Unix seconds, by the chain. */
  readonly openedAt: number
  /** Unix seconds. */
  readonly now: number
}

export type GatewayVerdict =
  | { readonly status: 'proved'; readonly receipt: GatewayReceipt }
  | { readonly status: 'unproved'; readonly why: string }

/** A gateway whose receipts this node settles with. */
export interface GatewayKey {
  readonly teeId: Hex
  /** Whether the registry enables it now: its receipts count only while it does. @throws {ChainUnavailableError} */
  isEnabled(): Promise<boolean>
  /** Whether an answer's bytes carry what `GatewayReceiptVerifier` will take. */
  judge(body: Uint8Array, question: GatewayQuestion): GatewayVerdict
}

/**
 * @param der the key as SPKI DER, as the registry has it
 * @throws {KeyUnusableError} if it is not the key of `teeId`, or none that the verifier takes
 */
export function gatewayKey(input: {
  readonly teeId: Hex
  readonly der: Hex
  readonly isEnabled: GatewayKey['isEnabled']
}): GatewayKey {
  const { teeId, isEnabled } = input
  const key = readKey(input)
  return {
    teeId,
    isEnabled,
    judge: (body, { inputHash, openedAt, now }) => {
      const answer = readGatewayAnswer(body)
      if (answer instanceof InvalidInputError) return unproved(answer.message)
      const { text, timestamp, signature } = answer
      const receipt = { inputHash, outputHash: gatewayOutputHash(text), timestamp }
      if (timestamp < openedAt - CLOCK_TOLERANCE_SECONDS || timestamp > now + CLOCK_TOLERANCE_SECONDS) {
        return unproved(
          `It is of ${String(timestamp)}, the order of ${String(openedAt)}, and it is ${String(now)} now.`,
        )
      }
      const padded = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: SALT_LENGTH }
      return verify('sha256', getBytes(gatewayDigest(receipt)), padded, Buffer.from(signature, 'base64'))
        ? { status: 'proved', receipt }
        : unproved(`Gateway ${teeId} has not signed this answer to this request.`)
    },
  }
}

/** What an answer's bytes say; or what is wrong with them. */
export function readGatewayAnswer(body: Uint8Array): GatewayAnswer | InvalidInputError {
  try {
    return parseGatewayAnswer(JSON.parse(Buffer.from(body).toString()))
  } catch (error) {
    if (error instanceof InvalidInputError) return error
    return new InvalidInputError({ field: 'answer', expected: 'JSON', value: 'something else' })
  }
}

function unproved(why: string): GatewayVerdict {
  return { status: 'unproved', why }
}

function readKey({ teeId, der }: { readonly teeId: Hex; readonly der: Hex }): KeyObject {
  const error = new KeyUnusableError(
    `The registry's key of gateway ${teeId}`,
    'RSA of 2048, 3072 or 4096 bits with exponent 65537, as the SPKI DER that the teeId is the keccak256 of',
  )
  let key: KeyObject
  try {
    key = createPublicKey({ key: Buffer.from(getBytes(der)), format: 'der', type: 'spki' })
  } catch {
    throw error
  }
  if (!isUsableRsaKey(key) || teeIdOf(key) !== teeId) throw error
  return key
}
