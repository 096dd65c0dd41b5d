import {
  createFacilitatorService,
  uptoScheme,
  type ChainReader,
  type Deployed,
  type Engine,
  type FacilitatorScheme,
} from '@opg/facilitator'
import { SILENT } from '@opg/operator'
import {
  deskAddress,
  domainSeparator,
  orderSeed,
  toWire,
  UPTO_PROXY,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  type Address,
  type Offer,
} from '@opg/protocol'
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types'
import { UptoEvmScheme } from '@x402/evm/upto/facilitator'
import { signerOf, uptoPayloads } from './facilitatorPayers.js'

/** Payments of one facilitator, to be verified one after the other. */
export interface Verifying {
  /** Verifies so many fresh payments, all of which must be valid. */
  run(count: number): Promise<void>
}

const CHAIN_ID = 84_532n
const NETWORK = 'eip155:84532'
const AMOUNT = 10n ** 15n
const PAYERS = 50
const TIMEOUT_SECONDS = 3_600

const TOKEN = signerOf('token').address
const ESCROW = signerOf('escrow').address
const ADAPTER = signerOf('adapter').address
const FACILITATOR = signerOf('facilitator').address

/** Ours, and the stock facilitator, over payments of the same keys, nonces and amounts. */
export function verifying(count: { readonly ours: number; readonly stock: number }): {
  readonly ours: Verifying
  readonly stock: Verifying
} {
  const payers = Array.from({ length: PAYERS }, (_, i) => signerOf(`payer ${String(i)}`))
  const deadline = BigInt(Math.floor(Date.now() / 1000) + TIMEOUT_SECONDS)
  const common = { token: TOKEN, amount: AMOUNT, spender: UPTO_PROXY, deadline, to: ESCROW, validAfter: 0n }
  const requirementsOf = (extra: Record<string, unknown>): PaymentRequirements => ({
    scheme: 'upto',
    network: NETWORK,
    asset: TOKEN,
    amount: AMOUNT.toString(),
    payTo: ESCROW,
    maxTimeoutSeconds: TIMEOUT_SECONDS,
    extra,
  })
  const pay = (requirements: PaymentRequirements, facilitator: Address, many: number): readonly Payment[] =>
    uptoPayloads(payers, { count: many, chainId: CHAIN_ID, authorization: { ...common, facilitator } }).map(
      (payload) => ({
        // As it arrives: every request has requirements of its own.
        payload: JSON.parse(JSON.stringify({ x402Version: 2, accepted: requirements, payload })) as PaymentPayload,
        requirements: JSON.parse(JSON.stringify(requirements)) as PaymentRequirements,
      }),
    )

  const offer: Offer = { terms: termsOf(), claimWindow: 3_600 }
  const desk = deskAddress({ adapter: ADAPTER, initCodeHash: ZERO_BYTES32, offer })
  const ourRequirements = requirementsOf({
    assetTransferMethod: 'permit2',
    paymentFlow: 'escrow',
    facilitatorAddress: desk,
    adapter: ADAPTER,
    offer: toWire(offer),
  })
  const stockRequirements = requirementsOf({ assetTransferMethod: 'permit2', facilitatorAddress: FACILITATOR })
  return {
    ours: verifyingBy(ourScheme(), pay(ourRequirements, desk, count.ours)),
    stock: verifyingBy(stockScheme(), pay(stockRequirements, FACILITATOR, count.stock)),
  }
}

interface Payment {
  readonly payload: PaymentPayload
  readonly requirements: PaymentRequirements
}

/** What both facilitators do. */
interface Verifier {
  verify(
    payload: PaymentPayload,
    requirements: PaymentRequirements,
  ): Promise<{ readonly isValid: boolean; readonly invalidReason?: string | undefined }>
}

function verifyingBy(scheme: Verifier, payments: readonly Payment[]): Verifying {
  let next = 0
  return {
    run: async (count) => {
      for (const { payload, requirements } of payments.slice(next, (next += count))) {
        const { isValid, invalidReason } = await scheme.verify(payload, requirements)
        if (!isValid) throw new TypeError(`A good payment was refused: ${String(invalidReason)}`)
      }
    },
  }
}

function termsOf(): Offer['terms'] {
  return {
    node: signerOf('node').address,
    facilitator: ZERO_ADDRESS,
    facilitatorBps: 0,
    verifier: ESCROW,
    evidenceKey: ZERO_BYTES32,
    modelId: ZERO_BYTES32,
  }
}

/** Ours over a chain that answers at once: the payer has money, and the order would open. */
function ourScheme(): FacilitatorScheme {
  const deployed: Deployed = {
    chainId: CHAIN_ID,
    deploymentChainId: CHAIN_ID,
    escrow: ESCROW,
    token: TOKEN,
    separator: domainSeparator({ chainId: CHAIN_ID, escrow: ESCROW }),
    seed: orderSeed({ chainId: CHAIN_ID, escrow: ESCROW }),
    upto: { adapter: ADAPTER, deskInitCodeHash: ZERO_BYTES32 },
  }
  const reader: ChainReader = {
    payer: () => Promise.resolve({ hasCode: false, balance: AMOUNT, allowance: AMOUNT, isNonceUsed: false }),
    hasCode: () => Promise.resolve(false),
    isValidSignature: () => Promise.resolve(false),
    simulateOpening: () => Promise.resolve({ status: 'opens' }),
    isKnownOrder: () => Promise.resolve(false),
    simulateCapture: () => Promise.resolve({ status: 'holds' }),
    latestBlock: () => Promise.resolve({ number: 1, timestamp: 1 }),
  }
  const never = (): Promise<never> => Promise.reject(new TypeError('verifying asks no engine'))
  const engine: Engine = {
    lock: never,
    capture: never,
    order: never,
    status: never,
    start: () => undefined,
    stop: () => Promise.resolve(),
  }
  const policy = { facilitator: FACILITATOR, minFacilitatorBps: 0, deadlineMarginSeconds: 6, sponsorsApprovals: true }
  return uptoScheme(
    createFacilitatorService({ deployed, policy, reader, engine, lockTimeoutMs: 1, clock: Date.now, logger: SILENT }),
  )
}

/** The stock facilitator over a chain that answers at once, alike. */
function stockScheme(): UptoEvmScheme {
  const never = (): Promise<never> => Promise.reject(new TypeError('verifying sends nothing'))
  return new UptoEvmScheme({
    getAddresses: () => [FACILITATOR],
    readContract: () => Promise.resolve(undefined),
    getCode: ({ address }) => Promise.resolve(address === TOKEN ? '0x60' : '0x'),
    verifyTypedData: never,
    writeContract: never,
    sendTransaction: never,
    waitForTransactionReceipt: never,
  })
}
