import {
  acceptKeyVerifier,
  createAdmission,
  createCashier,
  createOrderGate,
  createPaidService,
  ecdsaSigner,
  openSqliteStore,
  type EscrowReader,
  type NodeStore,
  type PaidCall,
} from '@opg/node'
import { SILENT } from '@opg/operator'
import {
  domainSeparator,
  orderId,
  orderSeed,
  requestHash,
  structDigest,
  termsHash,
  toWire,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  type Address,
  type Hex,
  type InferenceRequest,
  type Order,
  type Terms,
} from '@opg/protocol'
import type { PaymentRequirements } from '@x402/core/types'
import { id, Wallet } from 'ethers'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { signerOf, type Signer } from './facilitatorPayers.js'

/** A node whose sessions are open, and whose books are a file on the disk. */
export interface Admitting {
  /** Signs so many requests ahead. */
  prepare(count: number): {
    /** Admits them all, as many at once as a busy server has. */
    admit(): Promise<void>
    /** Gives back what was reserved. */
    end(): Promise<void>
  }
  /** 99th percentile from arrival to admission, in milliseconds, of requests that arrive evenly. */
  p99Ms(load: { readonly perSecond: number; readonly seconds: number }): Promise<number>
  close(): Promise<void>
}

const CHAIN_ID = 84_532n
const SESSIONS = 500
/** Each agent has one request under way. */
const AT_ONCE = SESSIONS
const MAX_FEE = 10n ** 12n
const AMOUNT = 10n ** 24n
const PATH = '/v1/chat/completions'
const BODY = new TextEncoder().encode(
  JSON.stringify({ model: 'chat', max_tokens: 256, messages: [{ role: 'user', content: 'What is a work order?' }] }),
)
const ESCROW = signerOf('escrow').address
const TOKEN = signerOf('token').address

interface Session {
  readonly orderId: Hex
  readonly order: Order
  readonly requester: Signer
}

type Admitted = Extract<Awaited<ReturnType<ReturnType<typeof createAdmission>['admit']>>, { status: 'admitted' }>

export async function admitting(): Promise<Admitting> {
  const nodeKey = new Wallet(id('node'))
  const node = nodeKey.address as Address
  const separator = domainSeparator({ chainId: CHAIN_ID, escrow: ESCROW })
  const seed = orderSeed({ chainId: CHAIN_ID, escrow: ESCROW })
  const terms: Terms = {
    node,
    facilitator: ZERO_ADDRESS,
    facilitatorBps: 0,
    verifier: ESCROW,
    evidenceKey: ZERO_BYTES32,
    modelId: id('model') as Hex,
  }
  const folder = await mkdtemp(join(tmpdir(), 'opg-bench-'))
  const store = await openSqliteStore({
    path: join(folder, 'books.sqlite'),
    identity: { node, escrow: ESCROW, chainId: CHAIN_ID },
    clock: Date.now,
    random: randomBytes,
  })
  const chain = chainThatAnswersAtOnce({ separator, seed })
  const signer = ecdsaSigner(nodeKey.privateKey)
  const options = {
    policy: {
      node,
      verifiers: [acceptKeyVerifier({ address: ESCROW, codeHash: ZERO_BYTES32, signer, node })],
      modelIds: [terms.modelId],
      minNetNodeBps: 5_000,
      minSecondsToClaimBy: 1_200,
      minAmount: 1n,
      // The bench is of admission; re-reading the chain is not part of most requests.
      refreshAfterMs: 3_600_000,
    },
    store,
    chain,
    clock: Date.now,
    logger: SILENT,
  }
  const admission = createAdmission({ ...options, gate: createOrderGate(options) })
  const cashier = createCashier({
    selling: {
      chainId: CHAIN_ID,
      deploymentChainId: Number(CHAIN_ID),
      escrow: ESCROW,
      token: TOKEN,
      terms,
      vouchers: false,
      minAmount: 1n,
      minSecondsToClaimBy: 1_200,
      upto: {
        adapter: signerOf('adapter').address,
        initCodeHash: ZERO_BYTES32,
        claimWindow: 3_600,
        approval: undefined,
      },
    },
    service: createPaidService(options),
    store,
    chain,
    signDigest: (digest) => signerOf('node').sign(digest),
    facilitator: {
      lock: () => Promise.reject(new TypeError('sessions are open already')),
      extensions: () => Promise.resolve(undefined),
    },
    replayMs: 0,
    clock: Date.now,
    sleep: () => Promise.resolve(),
    logger: SILENT,
  })
  const sessions = await openSessions(store, { terms, seed })
  const [requirements] = cashier.requirements({ modelId: terms.modelId, maxFee: MAX_FEE })
  if (requirements?.scheme !== 'work-order') throw new TypeError('The node sells no sessions')

  const signal = new AbortController().signal
  const admit = async (header: string): Promise<Admitted> => {
    const sale = { path: PATH, body: BODY, modelId: terms.modelId, maxFee: MAX_FEE }
    const accepted = await cashier.accept(header, sale, signal)
    if (accepted.status === 'refused') throw new TypeError(`A good payment was refused: ${accepted.message}`)
    const admitted = await admission.admit({ ...callOf(terms.modelId, signal), ...accepted.call })
    if (admitted.status !== 'admitted') throw new TypeError(`A good request was not admitted: ${admitted.status}`)
    return admitted
  }
  const headers = headerMaker({ sessions, terms, separator, requirements })
  const abandon = async (admitted: readonly Admitted[]): Promise<void> => {
    await Promise.all(admitted.map(({ reservation }) => store.abandon(reservation)))
  }

  return {
    prepare: (count) => {
      const waiting = headers(count)
      const admitted: Admitted[] = []
      let next = 0
      const work = async (): Promise<void> => {
        for (let header = waiting[next++]; header !== undefined; header = waiting[next++]) {
          admitted.push(await admit(header))
        }
      }
      return {
        admit: async () => {
          await Promise.all(Array.from({ length: AT_ONCE }, work))
        },
        end: () => abandon(admitted),
      }
    },
    p99Ms: async ({ perSecond, seconds }) => {
      const waiting = headers(Math.floor(perSecond * seconds))
      const startedMs = performance.now()
      const running: Promise<{ readonly ms: number; readonly admitted: Admitted }>[] = []
      for (let i = 0; i < waiting.length;) {
        const arrivedMs = startedMs + (i * 1_000) / perSecond
        const header = waiting[i]
        if (arrivedMs > performance.now() || header === undefined) {
          await setImmediate()
          continue
        }
        i += 1
        running.push(admit(header).then((admitted) => ({ ms: performance.now() - arrivedMs, admitted })))
      }
      const done = await Promise.all(running)
      await abandon(done.map(({ admitted }) => admitted))
      const sorted = done.map(({ ms }) => ms).sort((a, b) => a - b)
      return sorted[Math.floor(sorted.length * 0.99)] ?? 0
    },
    close: async () => {
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
}

async function openSessions(
  store: NodeStore,
  { terms, seed }: { readonly terms: Terms; readonly seed: Hex },
): Promise<readonly Session[]> {
  const claimBy = Math.floor(Date.now() / 1000) + 86_400
  const sessions = Array.from({ length: SESSIONS }, (_, i): Session => {
    const requester = signerOf(`agent ${String(i)}`)
    const job = { requester: requester.address, requestHash: ZERO_BYTES32 }
    const order = { payer: signerOf(`payer ${String(i)}`).address, nonce: BigInt(i), amount: AMOUNT, job, claimBy }
    return { orderId: orderId({ seed, terms, order }), order, requester }
  })
  for (const session of sessions) {
    const snapshot = {
      state: 'open',
      amount: AMOUNT,
      released: 0n,
      networkBps: 500,
      royaltyBps: 0,
      blockNumber: 1,
    } as const
    await store.putOrder({
      orderId: session.orderId,
      termsHash: termsHash(terms),
      terms,
      order: session.order,
      snapshot,
    })
  }
  return sessions
}

/** Makes fresh PAYMENT headers, each a request of the next session. */
function headerMaker(input: {
  readonly sessions: readonly Session[]
  readonly terms: Terms
  readonly separator: Hex
  readonly requirements: PaymentRequirements
}): (count: number) => readonly string[] {
  const { sessions, terms, separator, requirements: accepted } = input
  const hash = requestHash(PATH, BODY)
  let made = 0
  return (count) =>
    Array.from({ length: count }, () => {
      const session = sessions[made % sessions.length]
      if (session === undefined) throw new RangeError('no session')
      const request: InferenceRequest = {
        orderId: session.orderId,
        node: terms.node,
        index: BigInt(made),
        requestHash: hash,
        maxFee: MAX_FEE,
        expiresAt: Math.floor(Date.now() / 1000) + 3_600,
      }
      made += 1
      const signature = session.requester.sign(structDigest(separator, { name: 'InferenceRequest', value: request }))
      const payload = toWire({ terms, order: session.order, request, signature })
      return Buffer.from(JSON.stringify({ x402Version: 2, accepted, payload })).toString('base64')
    })
}

function callOf(modelId: Hex, signal: AbortSignal): PaidCall {
  return {
    path: PATH,
    body: BODY,
    signedRequest: undefined,
    modelId,
    prices: { perRequest: MAX_FEE, inputPerMillion: 0n, outputPerMillion: 0n },
    maxFeeNeeded: MAX_FEE,
    run: () => Promise.reject(new TypeError('admission runs nothing')),
    signal,
  }
}

function chainThatAnswersAtOnce({ separator, seed }: { readonly separator: Hex; readonly seed: Hex }): EscrowReader {
  const never = (): Promise<never> => Promise.reject(new TypeError('admission to an open session asks no chain'))
  return {
    escrow: ESCROW,
    chainId: CHAIN_ID,
    deploymentChainId: CHAIN_ID,
    separator,
    seed,
    snapshot: never,
    codeHash: never,
    isValidSignature: never,
    credits: never,
  }
}
