import { uptoDigest, type Address, type Hex, type UptoAuthorization } from '@opg/protocol'
import { id, Wallet } from 'ethers'
import secp256k1 from 'secp256k1'

/** An account whose signatures cost the bench little time to make. */
export interface Signer {
  readonly address: Address
  sign(digest: Hex): Hex
}

export function signerOf(name: string): Signer {
  const wallet = new Wallet(id(name))
  const key = Buffer.from(wallet.privateKey.slice(2), 'hex')
  return {
    address: wallet.address as Address,
    sign: (digest) => {
      const { signature, recid } = secp256k1.ecdsaSign(Buffer.from(digest.slice(2), 'hex'), key)
      return `0x${Buffer.from(signature).toString('hex')}${(27 + recid).toString(16)}`
    },
  }
}

/** Signed payloads of the stock `upto` scheme, each with a nonce of its own. */
export function uptoPayloads(
  signers: readonly Signer[],
  input: {
    readonly count: number
    readonly chainId: bigint
    readonly authorization: Omit<UptoAuthorization, 'from' | 'nonce'>
  },
): readonly Record<string, unknown>[] {
  const { count, chainId } = input
  return Array.from({ length: count }, (_, i) => {
    const signer = signers[i % signers.length]
    if (signer === undefined) throw new RangeError('no signer')
    const authorization = { ...input.authorization, from: signer.address, nonce: BigInt(id(`nonce ${String(i)}`)) }
    const { from, token, amount, spender, nonce, deadline, to, facilitator, validAfter } = authorization
    return {
      permit2Authorization: {
        from,
        permitted: { token, amount: amount.toString() },
        spender,
        nonce: nonce.toString(),
        deadline: deadline.toString(),
        witness: { to, facilitator, validAfter: validAfter.toString() },
      },
      signature: signer.sign(uptoDigest(chainId, authorization)),
    }
  })
}
