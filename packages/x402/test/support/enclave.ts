import type { Devnet } from '@opg/devnet'
import { type EvidenceSigner, rsaPssSigner } from '@opg/node'
import type { Hex } from '@opg/protocol'
import type { Wallet } from 'ethers'
import { generateKeyPairSync } from 'node:crypto'

export interface Enclave {
  readonly signer: EvidenceSigner
  readonly teeId: Hex
}

/** An enclave's key, registered by its owner. */
export async function registerEnclave(devnet: Devnet, owner: Wallet): Promise<Enclave> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const signer = rsaPssSigner(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  const registry = devnet.contracts.teeRegistry.connect(owner)
  const der = publicKey.export({ type: 'spki', format: 'der' })
  await (await registry.register(der, owner.address, 'https://enclave.example', 0)).wait()
  return { signer, teeId: signer.evidenceKey }
}

/** How orders name the owner of the enclaves that may sign. */
export function ownerKey(owner: string): Hex {
  return `0x${owner.slice(2).toLowerCase().padStart(64, '0')}`
}
