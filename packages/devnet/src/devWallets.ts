import { DEV_MNEMONIC } from '@opg/deploy'
import { HDNodeWallet, type Provider, Wallet } from 'ethers'

const ACCOUNTS_PATH = "m/44'/60'/0'/0"

/** The first accounts of the mnemonic, connected. */
export function devWallets(provider: Provider, count: number): readonly Wallet[] {
  const root = HDNodeWallet.fromPhrase(DEV_MNEMONIC, '', ACCOUNTS_PATH)
  return Array.from({ length: count }, (_, index) => new Wallet(root.deriveChild(index).privateKey, provider))
}
