import {
  constants,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  generatePrimeSync,
  type KeyObject,
  privateEncrypt,
  sign,
} from 'node:crypto'

const SALT = Buffer.alloc(32, 0x5a)

/** An RSA key pair with the forms that contracts take. */
export interface RsaKey {
  readonly privateKey: KeyObject
  /** SPKI DER. */
  readonly der: Buffer
  /** Big-endian, without a sign byte. */
  readonly modulus: Buffer
}

/** A fresh key. The library behind it rounds odd sizes down: 2049 gives 2048. */
export function newRsaKey(modulusLength: number, publicExponent = 65_537): RsaKey {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent })
  const { n } = publicKey.export({ format: 'jwk' })
  return {
    privateKey,
    der: publicKey.export({ type: 'spki', format: 'der' }),
    modulus: Buffer.from(n ?? '', 'base64url'),
  }
}

/** RSASSA-PSS with SHA-256 and MGF1-SHA-256, as enclaves sign. */
export function signPss(key: RsaKey, message: Uint8Array, saltLength = 32): Buffer {
  return sign('sha256', message, { key: key.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
}

/** What to put wrong in an otherwise good encoding. */
export interface PssDefect {
  /** Changes the unmasked data block: `PS | 0x01 | salt`. */
  readonly block?: (block: Buffer) => void
  /** Changes the encoded message: `masked block | H | 0xbc`. */
  readonly encoded?: (encoded: Buffer) => void
}

/** Encodes `mHash` by EMSA-PSS into `k` bytes, with the defect in it if there is one. */
export function encodePss(k: number, mHash: Buffer, defect: PssDefect = {}): Buffer {
  const h = sha256(Buffer.concat([Buffer.alloc(8), mHash, SALT]))
  const block = Buffer.concat([Buffer.alloc(k - 66), Buffer.of(1), SALT])
  defect.block?.(block)
  const mask = pssMask(h, block.length)
  const masked = Buffer.from(block.map((byte, i) => byte ^ (mask[i] ?? 0)))
  masked[0] = (masked[0] ?? 0) & 0x7f
  const encoded = Buffer.concat([masked, h, Buffer.of(0xbc)])
  defect.encoded?.(encoded)
  return encoded
}

/** Signs an encoding, good or bad, with the bare key operation. */
export function signEncoded(key: RsaKey, encoded: Buffer): Buffer {
  return privateEncrypt({ key: key.privateKey, padding: constants.RSA_NO_PADDING }, encoded)
}

/** An `mHash` whose good encoding into `k` bytes begins with a zero byte, so that a test can set the top bit alone. */
export function mHashWithZeroInFront(k: number): Buffer {
  let mHash = sha256(Buffer.of(0))
  while (encodePss(k, mHash)[0] !== 0) mHash = sha256(mHash)
  return mHash
}

/** Moduli that no ordinary key has, but that come out right in the arithmetic of verification. */
export interface PrimeModulus {
  /** Bits of the prime. */
  readonly bits: number
  /** What the modulus is of the prime. */
  readonly times: 1 | 2
}

/** A modulus that is a prime, or twice a prime, with a signature over an encoding, both as long as the modulus. */
export function signUnderPrime({ bits, times }: PrimeModulus, encoded: Buffer): { modulus: Buffer; signature: Buffer } {
  const prime = generatePrimeSync(bits, { bigint: true })
  const exponent = inverse(65_537n, prime - 1n)
  let s = power(toInteger(encoded) % prime, exponent, prime)
  if (times === 2 && s % 2n !== toInteger(encoded) % 2n) s += prime // right modulo two as well
  const k = Math.ceil((bits + times - 1) / 8)
  return { modulus: toBytes(prime * BigInt(times), k), signature: toBytes(s, k) }
}

/** SPKI DER of a public key that need not have a private one. */
export function derOf(modulus: Buffer): Buffer {
  const jwk = { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' }
  return createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' })
}

export function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest()
}

export function toInteger(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`)
}

export function toBytes(value: bigint, length: number): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex')
}

function pssMask(seed: Buffer, length: number): Buffer {
  const words = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    sha256(Buffer.concat([seed, Buffer.of(0, 0, 0, i)])),
  )
  return Buffer.concat(words).subarray(0, length)
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (let b = base, e = exponent; e > 0n; e >>= 1n, b = (b * b) % modulus) {
    if ((e & 1n) === 1n) result = (result * b) % modulus
  }
  return result
}

/** The inverse of a prime `a`, unless it divides `modulus`: for 65537 and a random prime less one, 1 in 65537. */
function inverse(a: bigint, modulus: bigint): bigint {
  let [r0, r1, t0, t1] = [modulus, a, 0n, 1n]
  while (r1 !== 0n) {
    const quotient = r0 / r1
    ;[r0, r1] = [r1, r0 - quotient * r1]
    ;[t0, t1] = [t1, t0 - quotient * t1]
  }
  return ((t0 % modulus) + modulus) % modulus
}
