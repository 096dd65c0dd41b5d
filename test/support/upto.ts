import { setCode } from '@nomicfoundation/hardhat-network-helpers'
import { AbiCoder, ZeroHash, type Signer } from 'ethers'
import { artifacts } from 'hardhat'
import type { UptoAdapter } from '../../packages/bindings/src/generated/typechain/contracts/adapters/UptoAdapter'
import { deploy, deployFixture, now, orderIdOf, permit2Domain, type Fixture, type Order, type Terms } from './fixture'

export const UPTO_PROXY = '0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002'
export const CLAIM_WINDOW = 3_600n
/** Ample for a pull through adapter, desk, proxy and Permit2, the desk's creation included. */
export const GAS_PER_FUNDING = 400_000n

/** As x402 2.27 publishes them for `upto`. */
const UPTO_TYPES = {
  PermitWitnessTransferFrom: [
    { name: 'permitted', type: 'TokenPermissions' },
    { name: 'spender', type: 'address' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
    { name: 'witness', type: 'Witness' },
  ],
  TokenPermissions: [
    { name: 'token', type: 'address' },
    { name: 'amount', type: 'uint256' },
  ],
  Witness: [
    { name: 'to', type: 'address' },
    { name: 'facilitator', type: 'address' },
    { name: 'validAfter', type: 'uint256' },
  ],
}

/** What a stock client is asked to sign, and when. */
export interface Authorization {
  readonly from: string
  readonly token: string
  readonly amount: bigint
  readonly nonce: bigint
  readonly deadline: bigint
  readonly to: string
  readonly facilitator: string
  readonly validAfter: bigint
}

/** A payment as an opener has it. */
export interface UptoPayment {
  readonly authorization: Authorization
  readonly signature: string
  readonly order: Order
  readonly orderId: string
  readonly funded: { readonly order: Order; readonly data: string }
}

/** What stock payments add to an escrow. */
interface Upto {
  readonly adapter: UptoAdapter
  /** Of the fixture's terms and `CLAIM_WINDOW`. */
  readonly desk: string
}

export type UptoFixture = Fixture & Upto
/** What paying needs. */
export type UptoWorld = Pick<UptoFixture, 'payer' | 'home' | 'terms' | 'desk'>

/** The proxy's twin in its place, and the adapter of the escrow. */
export async function uptoFixture(): Promise<UptoFixture> {
  return withUpto(await deployFixture())
}

/** The same around an escrow of any token. Strangers open. */
export async function withUpto<W extends Pick<Fixture, 'escrow' | 'home' | 'terms' | 'stranger'>>(
  world: W,
): Promise<W & Upto> {
  const { deployedBytecode } = await artifacts.readArtifact('DevUptoProxy')
  await setCode(UPTO_PROXY, deployedBytecode)
  const adapter = await deploy<UptoAdapter>('UptoAdapter', [world.home.escrow])
  const desk = await adapter.deskOf(world.terms, CLAIM_WINDOW)
  return { ...world, adapter, desk, escrow: world.escrow.connect(world.stranger) }
}

/** `abi.encode(uint32 claimWindow, uint256 validAfter, bytes signature)`. */
export function fundingData(claimWindow: bigint, validAfter: bigint, signature: string): string {
  return AbiCoder.defaultAbiCoder().encode(['uint32', 'uint256', 'bytes'], [claimWindow, validAfter, signature])
}

/** Stock clients draw nonces at random, so far away from those that other tests count up from zero on the same chain. */
let lastNonce = 2n ** 200n

/** Signs what a stock client signs for the fixture's offer, or as `changes` say, and makes the order of it. */
export async function payUpto(
  f: UptoWorld,
  changes: Partial<Authorization> = {},
  options: { readonly signer?: Signer; readonly terms?: Terms; readonly claimWindow?: bigint } = {},
): Promise<UptoPayment> {
  const { signer = f.payer, terms = f.terms, claimWindow = CLAIM_WINDOW } = options
  const authorization: Authorization = {
    from: f.payer.address,
    token: f.home.token,
    amount: 10n ** 18n,
    nonce: ++lastNonce,
    deadline: (await now()) + 600n,
    to: f.home.escrow,
    facilitator: f.desk,
    validAfter: 0n,
    ...changes,
  }
  const signature = await signUpto(f, signer, authorization)
  const order = orderOf(authorization, claimWindow)
  return {
    authorization,
    signature,
    order,
    orderId: orderIdOf(f.home, terms, order),
    funded: { order, data: fundingData(claimWindow, authorization.validAfter, signature) },
  }
}

export async function signUpto(
  f: Pick<UptoFixture, 'home'>,
  signer: Signer,
  authorization: Authorization,
): Promise<string> {
  const { token, amount, nonce, deadline, to, facilitator, validAfter } = authorization
  return signer.signTypedData(permit2Domain(f.home.chainId), UPTO_TYPES, {
    permitted: { token, amount },
    spender: UPTO_PROXY,
    nonce,
    deadline,
    witness: { to, facilitator, validAfter },
  })
}

function orderOf({ from, nonce, amount, deadline }: Authorization, claimWindow: bigint): Order {
  return {
    payer: from,
    nonce,
    amount,
    job: { requester: from, requestHash: ZeroHash },
    claimBy: deadline + claimWindow,
  }
}
