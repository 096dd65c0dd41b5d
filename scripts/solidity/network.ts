import type { HardhatConfig } from 'hardhat/types'

/** Longest code that chains take (EIP-170). */
export const CODE_LIMIT = 24_576

/** Lets Hardhat's network take longer code. It must not have been asked anything yet. */
export function allowLongCode(config: HardhatConfig): void {
  Reflect.set(config.networks.hardhat, 'allowUnlimitedContractSize', true)
}
