import { ZERO_BYTES32 } from '@opg/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { ecdsaSigner } from '../../src/receipts/ecdsaSigner.js'
import { acceptKeyVerifier } from '../../src/receipts/keyVerifier.js'
import type { NodeOptions, PaymentNode } from '../../src/service/openNode.js'
import type { PaidAnswer, PaidCall } from '../../src/service/types.js'
import { DEFAULT_SETTLE_POLICY } from '../../src/settle/policy.js'
import { type Settler, createSettler } from '../../src/settle/settler.js'
import type { NodeStore } from '../../src/store/types.js'
import { type OpenOrder, World, orderInput, sleep } from './world.js'

type OrderInput = NonNullable<Parameters<World['open']>[0]>
type CallInput = Parameters<World['call']>[1]

/** A chain for the file, and a node with fresh books for each test. */
export interface Fixture {
  readonly world: World
  readonly node: PaymentNode
  /** Serves a call, and says what became of it in one word. */
  readonly serve: (order: OpenOrder, input: CallInput, at?: PaymentNode) => Promise<string>
  /** An order with so many requests served, at 15 base units each. */
  readonly used: (count: number, input?: OrderInput & { readonly at?: PaymentNode }) => Promise<OpenOrder>
  /** Slices of one allocation, with so many requests served on each, at 15 base units each. */
  readonly usedSlices: (
    counts: readonly number[],
    input?: Parameters<World['openSlices']>[0] & { readonly at?: PaymentNode },
  ) => Promise<readonly [OpenOrder, ...OpenOrder[]]>
  /** A settler of the fixture's node over other books. */
  readonly settlerOver: (store: NodeStore) => Settler
  /** A further node for the time of `use`. */
  readonly withNode: (overrides: Partial<NodeOptions>, use: (other: PaymentNode) => Promise<void>) => Promise<void>
  /** What the chain says of an order. */
  readonly chainState: (order: OpenOrder) => Promise<{ readonly released: bigint; readonly closed: boolean }>
  /** How often the chain settled it. */
  readonly settledEvents: (order: OpenOrder) => Promise<number>
}

/** Registers the hooks of a file; with `isolated`, each test begins on the same chain. */
export function setUpNode({ isolated = false }: { readonly isolated?: boolean } = {}): Fixture {
  let world: World
  let node: PaymentNode
  let snapshot: string

  beforeAll(async () => {
    world = await World.start()
  })
  afterAll(() => world.stop())
  beforeEach(async () => {
    if (isolated) snapshot = await world.devnet.snapshot()
    node = await world.openNode()
  })
  afterEach(async () => {
    await node.close()
    if (!isolated) return
    await world.devnet.setAutomine(true)
    await world.devnet.revert(snapshot)
  })

  return {
    get world() {
      return world
    },
    get node() {
      return node
    },
    serve: async (order, input, at = node) => outcomeOf(await at.service.serve(world.call(order, input))),
    used: async (count, { at = node, ...input } = {}) => {
      const order = await world.admitted(at, input)
      for (let i = 0; i < count; i++) {
        expect((await at.service.serve(world.call(order, { index: BigInt(i) }))).status).toBe('served')
      }
      return order
    },
    usedSlices: async (counts, { at = node, ...input } = {}) => {
      const slices = await world.openSlices(input)
      for (const [place, count] of counts.entries()) {
        const slice = slices[place] ?? slices[0]
        expect(await at.service.admitOrder(orderInput(slice))).toMatchObject({ status: 'admitted' })
        for (let i = 0; i < count; i++) {
          expect(outcomeOf(await at.service.serve(world.call(slice, { index: BigInt(i) })))).toBe('served')
        }
      }
      return slices
    },
    settlerOver: (store) => {
      const { devnet, node: signer, logger } = world
      const { provider } = devnet
      const policy = DEFAULT_SETTLE_POLICY
      const { keyReceiptVerifier: address } = devnet.deployment
      const verifier = acceptKeyVerifier({
        address,
        codeHash: ZERO_BYTES32, // asked by the gate alone
        signer: ecdsaSigner(signer.privateKey),
        node: node.node,
      })
      const verifiers = [verifier]
      return createSettler({
        store,
        chain: node.chain,
        provider,
        signer,
        verifiers,
        policy,
        clock: Date.now,
        sleep,
        logger,
      })
    },
    withNode: async (overrides, use) => {
      const other = await world.openNode(overrides)
      try {
        await use(other)
      } finally {
        await other.close()
      }
    },
    chainState: async ({ orderId }) => {
      const { released, closed } = await world.devnet.contracts.escrow.orders(orderId)
      return { released, closed }
    },
    settledEvents: async ({ orderId, slice }) => {
      const { escrow } = world.devnet.contracts
      const { SliceSettled, OrderSettled } = escrow.filters
      if (slice === undefined) return (await escrow.queryFilter(OrderSettled(orderId))).length
      return (await escrow.queryFilter(SliceSettled(undefined, orderId))).length
    },
  }
}

/** What became of a call: its status, or why it was refused. */
export function outcomeOf(answer: PaidAnswer): string {
  return answer.status === 'refused' ? answer.reason : answer.status
}

export interface HeldCall {
  readonly call: PaidCall
  /** Once it runs. */
  readonly started: Promise<void>
  readonly release: () => void
}

/** A call that stays in its work until released, and then costs all of its `maxFee`. */
export function heldCall(
  world: World,
  order: OpenOrder,
  { index, maxFee }: { readonly index: bigint; readonly maxFee: bigint },
): HeldCall {
  let open = (): void => undefined
  let start = (): void => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  const started = new Promise<void>((resolve) => (start = resolve))
  const run: PaidCall['run'] = async ({ emit }) => {
    start()
    await gate
    await emit(new Uint8Array([1]))
    return { usage: { inputTokens: 0n, outputTokens: maxFee }, contentType: 'text/plain' }
  }
  return {
    call: world.call(order, { index, maxFee, run }),
    started,
    release: () => {
      open()
    },
  }
}
