import { Signature } from 'ethers'
import { type Address, type Hex, recoverSigner } from '@opg/protocol'
import { asHex } from './chain.js'

/**
 * A key's signature as contracts take it, `r ‖ s ‖ v` with v of 27 or 28, whatever form the signer gave it; undefined
 * where it is not the account's own over this digest: a wallet's (ERC-1271) is for whoever asks wallets.
 */
export function keySignature(
  signature: string,
  { digest, account }: { readonly digest: Hex; readonly account: Address },
): Hex | undefined {
  let plain: Hex
  try {
    plain = asHex(Signature.from(signature).serialized)
  } catch {
    return undefined
  }
  return recoverSigner(digest, plain) === account ? plain : undefined
}
