import type { Devnet } from '@opg/devnet'
import { approvePermit2, readEscrow, type EscrowInfo } from '@opg/payer'
import { type Address, type Hex, modelId, type Terms } from '@opg/protocol'
import type { Wallet } from 'ethers'
import { keccak256 } from 'ethers'
import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DemoError, progress } from './report.js'

export const MODEL_NAME = 'languages'
const ROYALTY_BPS = 500
const FACILITATOR_BPS = 200
const FUNDS = 10n * 10n ** 18n

/** Who takes part, and the terms that they agree on. */
export interface World {
  readonly devnet: Devnet
  readonly escrow: EscrowInfo
  readonly node: Wallet
  readonly facilitator: Wallet
  readonly modelOwner: Wallet
  readonly network: Wallet
  /** Each owns OPG and has approved Permit2. */
  readonly payers: readonly [Wallet, Wallet]
  /** Pays over x402; it owns OPG and has approved Permit2. */
  readonly x402Payer: Wallet
  /** Sells over x402 with a web server of its own. */
  readonly shopkeeper: Wallet
  /** The agent's own key: it signs requests and owns nothing. */
  readonly agent: Wallet
  readonly teeKeyFile: string
  readonly teeId: Hex
  readonly terms: Terms
}

/** Registers model and enclave, and gives the payers OPG. */
export async function prepareWorld(devnet: Devnet, directory: string): Promise<World> {
  const { contracts, deployment, wallets } = devnet
  const [network, node, facilitator, modelOwner, agent, firstPayer, secondPayer, x402Payer, shopkeeper] = wallets
  if (deployment.teeReceiptVerifier === null) throw new DemoError('The devnet has no TeeReceiptVerifier')

  progress('registering the model, and the enclave key that signs receipts')
  await (await contracts.modelRegistry.connect(modelOwner).register(MODEL_NAME, ROYALTY_BPS)).wait()
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const der = publicKey.export({ type: 'spki', format: 'der' })
  const teeId = keccak256(der) as Hex
  const teeKeyFile = join(directory, 'tee.pem')
  await writeFile(teeKeyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  await (await contracts.teeRegistry.connect(node).register(der, node.address, '', 0)).wait()
  await (await contracts.teeReceiptVerifier.connect(node).cacheKey(teeId)).wait()

  progress('giving three payers OPG; they approve Permit2')
  for (const payer of [firstPayer, secondPayer, x402Payer]) {
    await devnet.mint(payer.address, FUNDS)
    await approvePermit2(payer, { token: deployment.token })
  }
  return {
    devnet,
    escrow: await readEscrow(devnet.provider, deployment.escrow),
    node,
    facilitator,
    modelOwner,
    network,
    payers: [firstPayer, secondPayer],
    x402Payer,
    shopkeeper,
    agent,
    teeKeyFile,
    teeId,
    terms: {
      node: node.address as Address,
      facilitator: facilitator.address as Address,
      facilitatorBps: FACILITATOR_BPS,
      verifier: deployment.teeReceiptVerifier,
      evidenceKey: teeId,
      modelId: modelId({ registrant: modelOwner.address as Address, name: MODEL_NAME }),
    },
  }
}
