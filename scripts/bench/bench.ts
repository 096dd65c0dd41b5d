import type { Devnet } from '@opg/devnet'
import { waitForReceipt } from '@opg/payer'
import {
  type Address,
  modelId,
  type Order,
  type SignedOrder,
  type Terms,
  workOrderPermit,
  ZERO_ADDRESS,
  ZERO_BYTES32,
} from '@opg/protocol'
import { id, MaxUint256, type TransactionResponse, Wallet } from 'ethers'

export const OPG = 10n ** 18n
export const BATCH = 100
const MODEL_NAME = 'bench'
const CLAIM_WINDOW_SECONDS = 30 * 86_400

/** Accounts and terms that all workloads share. */
export interface Bench {
  readonly devnet: Devnet
  readonly payers: readonly Wallet[]
  readonly node: Wallet
  readonly relayer: Wallet
  readonly claimBy: number
  /** The node and the network share the fee. */
  readonly terms: Terms
  /** Node, network, model owner and facilitator share it. */
  readonly allSharesTerms: Terms
  /** Permit2 nonces, one after the other, so that all but the first fall into a used word. */
  readonly nextNonce: (payer: string) => bigint
}

export function walletAt(devnet: Devnet, index: number): Wallet {
  const wallet = devnet.wallets[index]
  if (wallet === undefined) throw new RangeError(`The devnet has no wallet ${String(index)}`)
  return wallet
}

/** Payers that hold OPG and approved Permit2; payees that hold OPG. */
export async function prepare(devnet: Devnet): Promise<Bench> {
  const { contracts, deployment } = devnet
  const [node, relayer, modelOwner] = [walletAt(devnet, 1), walletAt(devnet, 2), walletAt(devnet, 3)]
  await mined(contracts.modelRegistry.connect(modelOwner).register(MODEL_NAME, 500))
  const payers: Wallet[] = []
  for (let index = 0; index < BATCH; index++) {
    const payer = new Wallet(id(`bench payer ${String(index)}`), devnet.provider)
    await mined(relayer.sendTransaction({ to: payer.address, value: OPG }))
    await devnet.mint(payer.address, 1_000n * OPG)
    await mined(contracts.token.connect(payer).approve(deployment.permit2, MaxUint256))
    payers.push(payer)
  }
  for (const payee of [node, relayer, modelOwner]) await devnet.mint(payee.address, 1n)

  const nonces = new Map<string, bigint>()
  const terms: Terms = {
    node: node.address as Address,
    facilitator: ZERO_ADDRESS,
    facilitatorBps: 0,
    verifier: deployment.keyReceiptVerifier,
    evidenceKey: ZERO_BYTES32,
    modelId: ZERO_BYTES32,
  }
  return {
    devnet,
    payers,
    node,
    relayer,
    claimBy: (await devnet.now()) + CLAIM_WINDOW_SECONDS,
    terms,
    allSharesTerms: {
      ...terms,
      facilitator: relayer.address as Address,
      facilitatorBps: 100,
      modelId: modelId({ registrant: modelOwner.address as Address, name: MODEL_NAME }),
    },
    nextNonce: (payer) => {
      const nonce = nonces.get(payer) ?? 0n
      nonces.set(payer, nonce + 1n)
      return nonce
    },
  }
}

/** Signs the payer's next order over 1 OPG. */
export async function signOrder(
  { devnet, claimBy, nextNonce }: Bench,
  terms: Terms,
  payer: Wallet,
): Promise<SignedOrder> {
  const { escrow, token } = devnet.deployment
  const address = payer.address as Address
  const order: Order = {
    payer: address,
    nonce: nextNonce(address),
    amount: OPG,
    job: { requester: address, requestHash: ZERO_BYTES32 },
    claimBy,
  }
  const deadline = BigInt(claimBy)
  const data = workOrderPermit({ chainId: BigInt(devnet.chainId), escrow, token, terms, order, deadline })
  const signature = await payer.signTypedData(data.domain, data.types, data.message)
  return { order, deadline, signature: signature as SignedOrder['signature'] }
}

/** Gas of a transaction that must succeed. What reverts throws. */
export async function mined(sent: Promise<TransactionResponse>): Promise<number> {
  return Number((await waitForReceipt(await sent)).gasUsed)
}
