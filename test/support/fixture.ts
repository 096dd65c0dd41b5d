import { setBalance, time } from '@nomicfoundation/hardhat-network-helpers'
import { ethers } from 'hardhat'
import { Interface, MaxUint256, Wallet, ZeroAddress, ZeroHash, id, type BaseContract, type Signer } from 'ethers'
import type { DevOPG } from '../../packages/bindings/src/generated/typechain/contracts/dev/DevOPG'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'
import type { FeePolicy } from '../../packages/bindings/src/generated/typechain/contracts/policy/FeePolicy'
import type { ModelRegistry } from '../../packages/bindings/src/generated/typechain/contracts/policy/ModelRegistry'
import type { KeyReceiptVerifier } from '../../packages/bindings/src/generated/typechain/contracts/verifiers/KeyReceiptVerifier'
import { PERMIT2_ADDRESS, installPermit2 } from './permit2'
import {
  BATCH_TYPES,
  PERMIT_TYPES,
  batchMessage,
  escrowDomain,
  orderIdOf,
  permit2Domain,
  permitMessage,
  type Home,
  type Order,
  type SettleRow,
  type SignedOrder,
  type Terms,
} from './typedData'

export * from './typedData'
export { PERMIT2_ADDRESS } from './permit2'

/** A signer whose address is known without asking. */
export interface Account extends Signer {
  readonly address: string
}

export const OPG = 10n ** 18n
export const DAY = 86_400n
export const NETWORK_BPS = 200n
export const ROYALTY_BPS = 500n
export const FACILITATOR_BPS = 100n
/** Ample for a pull through Permit2 with an ECDSA signature. */
export const GAS_PER_ORDER = 150_000n

/** Permit2's errors, for `revertedWithCustomError`. */
const PERMIT2_ERRORS = {
  interface: new Interface([
    'error SignatureExpired(uint256 signatureDeadline)',
    'error InvalidSigner()',
    'error InvalidSignature()',
    'error InvalidSignatureLength()',
    'error InvalidContractSignature()',
    'error InvalidNonce()',
  ]),
}

/** Deploys a contract of the project; by the test network's first account, if no signer is named. */
export async function deploy<C extends BaseContract>(
  name: string,
  args: readonly unknown[] = [],
  signer?: Signer,
): Promise<C> {
  const factory = await ethers.getContractFactory(name, signer)
  const contract = await factory.deploy(...args)
  await contract.waitForDeployment()
  return contract as BaseContract as BaseContract & C
}

export async function now(): Promise<bigint> {
  return BigInt(await time.latest())
}

/** An account with native coin, OPG and an unlimited approval of Permit2. Any name gives the same account every time. */
export async function createPayer(token: DevOPG, name: string): Promise<Account> {
  const payer = new Wallet(id(name), ethers.provider)
  await setBalance(payer.address, 10n ** 20n)
  await (await token.mint(payer.address, 1_000_000n * OPG)).wait()
  await (await token.connect(payer).approve(PERMIT2_ADDRESS, MaxUint256)).wait()
  return payer
}

export async function namedAccounts() {
  const [deployer, payer, otherPayer, requester, node, otherNode, facilitator, network, modelOwner, stranger] =
    await ethers.getSigners()
  if (
    !deployer ||
    !payer ||
    !otherPayer ||
    !requester ||
    !node ||
    !otherNode ||
    !facilitator ||
    !network ||
    !modelOwner ||
    !stranger
  ) {
    throw new TypeError('The test network has fewer accounts than the fixture needs')
  }
  return { deployer, payer, otherPayer, requester, node, otherNode, facilitator, network, modelOwner, stranger }
}

/** The contracts around any escrow-like token: `DevOPG`, or a hostile one. */
export async function deployAround(tokenAddress: string) {
  const accounts = await namedAccounts()
  const { chainId } = await ethers.provider.getNetwork()
  const policy = await deploy<FeePolicy>('FeePolicy', [
    accounts.deployer.address,
    NETWORK_BPS,
    accounts.network.address,
  ])
  const registry = await deploy<ModelRegistry>('ModelRegistry')
  const verifier = await deploy<KeyReceiptVerifier>('KeyReceiptVerifier')
  const escrow = await deploy<InferenceEscrow>('InferenceEscrow', [
    tokenAddress,
    PERMIT2_ADDRESS,
    await policy.getAddress(),
    await registry.getAddress(),
  ])
  const modelId = await registry.connect(accounts.modelOwner).register.staticCall('model', ROYALTY_BPS)
  await (await registry.connect(accounts.modelOwner).register('model', ROYALTY_BPS)).wait()

  const home: Home = { chainId, escrow: await escrow.getAddress(), token: tokenAddress }
  const terms: Terms = {
    node: accounts.node.address,
    facilitator: accounts.facilitator.address,
    facilitatorBps: FACILITATOR_BPS,
    verifier: await verifier.getAddress(),
    evidenceKey: ZeroHash,
    modelId,
  }
  return { ...accounts, policy, registry, verifier, escrow, home, terms, modelId }
}

/** Canonical Permit2, token, policy, registry, verifier and escrow; payers hold OPG and approved Permit2. */
export async function deployFixture() {
  await installPermit2()
  const token = await deploy<DevOPG>('DevOPG')
  const world = await deployAround(await token.getAddress())
  for (const payer of [world.payer, world.otherPayer]) {
    await (await token.mint(payer.address, 1_000_000n * OPG)).wait()
    await (await token.connect(payer).approve(PERMIT2_ADDRESS, MaxUint256)).wait()
  }
  return { ...world, token, permit2Errors: PERMIT2_ERRORS }
}

export type Fixture = Awaited<ReturnType<typeof deployFixture>>
/** What signing and settling need; also what `deployAround` gives. */
export type World = Pick<Fixture, 'escrow' | 'home' | 'terms' | 'node' | 'payer' | 'requester'>

const nextNonce = new Map<string, bigint>()

/** An order of 10 OPG for a session, claimable for 30 days, with a nonce that its payer has not used; or as `changes` say. */
export async function makeOrder(
  world: Pick<World, 'payer' | 'requester'>,
  changes: Partial<Order> = {},
): Promise<Order> {
  const payer = changes.payer ?? world.payer.address
  const nonce = nextNonce.get(payer) ?? 0n
  nextNonce.set(payer, nonce + 1n)
  return {
    payer,
    nonce,
    amount: 10n * OPG,
    job: { requester: world.requester.address, requestHash: ZeroHash },
    claimBy: (await now()) + 30n * DAY,
    ...changes,
  }
}

/** Signs `order` as its payer, through Permit2's domain. */
export async function signOrder(
  world: Pick<World, 'home' | 'terms'>,
  signer: Signer,
  order: Order,
  options: { readonly terms?: Terms; readonly deadline?: bigint; readonly chainId?: bigint } = {},
): Promise<SignedOrder> {
  const deadline = options.deadline ?? order.claimBy
  const message = permitMessage(world.home, options.terms ?? world.terms, order, deadline)
  const signature = await signer.signTypedData(
    permit2Domain(options.chainId ?? world.home.chainId),
    PERMIT_TYPES,
    message,
  )
  return { order, deadline, signature }
}

/** A row that settles `cumulativeFee` with an invented tree of three receipts; or as `changes` say. */
export function settleRow(order: Order, cumulativeFee: bigint, changes: Partial<SettleRow> = {}): SettleRow {
  return {
    order,
    cumulativeFee,
    receiptsRoot: id(`receipts up to ${String(cumulativeFee)}`),
    receiptCount: 3n,
    close: false,
    ...changes,
  }
}

/** The evidence that `KeyReceiptVerifier` takes: the evidence key's signature over the batch. */
export async function settlementEvidence(
  world: Pick<World, 'home' | 'terms'>,
  signer: Signer,
  rows: readonly SettleRow[],
  options: { readonly terms?: Terms; readonly chainId?: bigint } = {},
): Promise<string> {
  const domain = escrowDomain({ escrow: world.home.escrow, chainId: options.chainId ?? world.home.chainId })
  return signer.signTypedData(domain, BATCH_TYPES, batchMessage(world.home, options.terms ?? world.terms, rows))
}

/** Opens an order of the payer and returns it with its id. */
export async function openOrder(
  world: World,
  changes: Partial<Order> = {},
  options: { readonly terms?: Terms; readonly signer?: Signer } = {},
): Promise<{ order: Order; orderId: string }> {
  const terms = options.terms ?? world.terms
  const order = await makeOrder(world, changes)
  const signed = await signOrder(world, options.signer ?? world.payer, order, { terms })
  await (await world.escrow.open(terms, signed)).wait()
  return { order, orderId: orderIdOf(world.home, terms, order) }
}

/** Settles rows under the node's own evidence. */
export async function settleRows(world: World, rows: readonly SettleRow[], options: { readonly terms?: Terms } = {}) {
  const terms = options.terms ?? world.terms
  const evidence = await settlementEvidence(world, world.node, rows, { terms })
  return world.escrow.settle(terms, [...rows], evidence)
}

/** Terms with nobody but the node to pay. */
export function nodeOnly(terms: Terms): Terms {
  return { ...terms, facilitator: ZeroAddress, facilitatorBps: 0n, modelId: ZeroHash }
}
