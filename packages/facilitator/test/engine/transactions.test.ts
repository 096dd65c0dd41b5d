import { type FlakyRpc, startFlakyRpc } from '@opg/devnet'
import { connectProvider } from '@opg/operator'
import type { Address, Hex } from '@opg/protocol'
import { ContractFactory, type JsonRpcProvider, Signature, id } from 'ethers'
import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Opening } from '../../src/engine/types.js'
import { EngineWorld, OPG, type RunningEngine, attempt, eventually, lock, sleep } from './support/world.js'

const GWEI = 10n ** 9n
const MOODS = { accepts: 0, refuses: 1, burnsGas: 8 }

interface Mock {
  readonly abi: []
  readonly bytecode: string
  readonly deployedBytecode: string
}

async function mock(name: string): Promise<Mock> {
  const url = new URL(`../../../../artifacts/contracts/dev/mocks/${name}.sol/${name}.json`, import.meta.url)
  return JSON.parse(await readFile(url, 'utf8')) as Mock
}

async function codeOf(name: string): Promise<string> {
  return (await mock(name)).deployedBytecode
}

describe('the transactions of the engine', () => {
  let world: EngineWorld
  let running: RunningEngine
  let snapshot: string

  beforeAll(async () => {
    world = await EngineWorld.start()
  })
  afterAll(() => world.stop())
  beforeEach(async () => {
    snapshot = await world.devnet.snapshot()
    running = await world.startEngine()
  })
  afterEach(async () => {
    await running.close()
    await world.devnet.setAutomine(true)
    await world.devnet.revert(snapshot)
  })

  async function again(input: NonNullable<Parameters<EngineWorld['startEngine']>[0]>): Promise<void> {
    await running.close()
    running = await world.startEngine(input)
  }

  function isIn(state: string, { orderId }: Opening): Promise<void> {
    return eventually(async () => (await running.engine.order(orderId))?.state === state)
  }

  function pending(count: number): Promise<void> {
    return eventually(async () => (await running.engine.status()).pendingTransactions === count)
  }

  /** The transactions of the sending key that wait in the pool. */
  async function pooled(): Promise<readonly { readonly maxFeePerGas: bigint; readonly nonce: number }[]> {
    const content = (await world.devnet.provider.send('txpool_content', [])) as {
      readonly pending: Readonly<
        Record<string, Readonly<Record<string, { readonly maxFeePerGas: string; readonly nonce: string }>>>
      >
    }
    const own = Object.entries(content.pending).find(
      ([from]) => from.toLowerCase() === world.sender.address.toLowerCase(),
    )
    return Object.values(own?.[1] ?? {}).map(({ maxFeePerGas, nonce }) => ({
      maxFeePerGas: BigInt(maxFeePerGas),
      nonce: Number(nonce),
    }))
  }

  describe('a reorg', () => {
    it('that takes an opening out: the same transaction opens it again', async () => {
      const opening = await world.opening()
      const outcome = await lock(running.engine, opening)
      await world.devnet.reorg(1)
      expect(await world.chainOrder(opening.orderId)).toBe('none')
      await eventually(async () => (await world.chainOrder(opening.orderId)) === 'open')
      await isIn('open', opening)
      const hash = outcome.status === 'locked' ? outcome.transaction : undefined
      expect((await world.devnet.provider.getTransactionReceipt(hash ?? ''))?.status).toBe(1)
      expect(await running.engine.status()).toMatchObject({ pendingTransactions: 0 })
    })

    it('that takes an opening and its capture out: both come back, each once', async () => {
      const opening = await world.opening()
      await lock(running.engine, opening)
      await running.engine.capture(world.capture(opening, 5n))
      await isIn('closed', opening)
      await running.engine.stop()
      await world.devnet.reorg(2)
      expect(await world.chainOrder(opening.orderId)).toBe('none')
      running.engine.start()
      await eventually(async () => (await world.chainOrder(opening.orderId)) === 'closed')
      await eventually(async () => (await running.engine.status()).pendingTransactions === 0)
      expect(await world.settledFees(opening.orderId)).toEqual([5n])
      expect(await running.engine.order(opening.orderId)).toMatchObject({ state: 'closed', captured: 5n })
    })

    it('that takes an opening out whose payer has no money any more: it is refused, not open', async () => {
      const thief = world.devnet.wallets[5]
      await world.fund(thief, OPG)
      const opening = await world.opening({ payer: thief })
      await lock(running.engine, opening)
      await running.engine.stop()
      await world.devnet.reorg(1)
      await (await world.devnet.contracts.token.connect(thief).transfer(world.payer.address, OPG)).wait()
      running.engine.start()
      await isIn('refused', opening)
      expect(await world.chainOrder(opening.orderId)).toBe('none')
    })

    it("that takes somebody else's opening out: it is opened by us", async () => {
      const opening = await world.opening()
      await world.relay(opening)
      expect(await lock(running.engine, opening)).toMatchObject({ status: 'locked' })
      await running.engine.stop()
      await world.devnet.reorg(1)
      expect(await world.chainOrder(opening.orderId)).toBe('none')
      running.engine.start()
      await eventually(async () => (await world.chainOrder(opening.orderId)) === 'open')
      await isIn('open', opening)
    })
  })

  describe('a transaction that is stuck', () => {
    it('is replaced at higher fees up to the limit, and not beyond', async () => {
      const { maxFeePerGas } = await world.devnet.provider.getFeeData()
      const limit = ((maxFeePerGas ?? 0n) * 3n) / 2n
      await again({ policy: { replaceAfterMs: 50, maxFeePerGas: limit } })
      await world.devnet.setAutomine(false)
      const opening = await world.opening()
      const locked = lock(running.engine, opening)
      await pending(1)
      const [first] = await pooled()
      await eventually(async () => ((await pooled())[0]?.maxFeePerGas ?? 0n) * 9n > limit * 8n)
      await sleep(300)
      const waiting = await pooled()
      expect(waiting).toHaveLength(1)
      expect(waiting[0]?.nonce).toBe(first?.nonce)
      expect(waiting[0]?.maxFeePerGas).toBeGreaterThan(first?.maxFeePerGas ?? 0n)
      expect(waiting[0]?.maxFeePerGas).toBeLessThanOrEqual(limit)
      await world.devnet.setAutomine(true)
      await world.devnet.mine()
      expect(await locked).toMatchObject({ status: 'locked' })
      expect(await world.timesOpened(opening.orderId)).toBe(1)
    })

    it('whose nonce another transaction takes: its orders are planned anew', async () => {
      await world.devnet.setAutomine(false)
      const opening = await world.opening()
      const locked = lock(running.engine, opening)
      await pending(1)
      const [stuck] = await pooled()
      await world.sender.sendTransaction({
        to: world.payer.address,
        nonce: stuck?.nonce ?? 0,
        maxFeePerGas: 900n * GWEI,
        maxPriorityFeePerGas: 90n * GWEI,
        gasLimit: 21_000n,
      })
      await world.devnet.mine()
      await world.devnet.setAutomine(true)
      expect(await locked).toMatchObject({ status: 'locked' })
      expect(await world.timesOpened(opening.orderId)).toBe(1)
    })
  })

  describe('an RPC', () => {
    let rpc: FlakyRpc
    let provider: JsonRpcProvider
    beforeEach(async () => {
      rpc = await startFlakyRpc(world.devnet.rpcUrl)
      provider = await connectProvider(rpc.url, { timeoutMs: 300 })
      await again({ provider })
    })
    afterEach(async () => {
      rpc.mood = 'well'
      await running.engine.stop()
      provider.destroy()
      await rpc.stop()
    })

    it.each(['hang-up', 'error', 'garbage', 'silent'] as const)(
      'that is down (%s): nothing is concluded, and all goes on afterwards',
      async (mood) => {
        const opened = await world.opening()
        await lock(running.engine, opened)
        rpc.mood = mood
        const opening = await world.opening()
        const input = { opening, attempt: attempt(), timeoutMs: 500 }
        expect(await running.engine.lock(input)).toEqual({ status: 'pending' })
        expect(await running.engine.capture(world.capture(opened, 3n))).toEqual({ status: 'queued' })
        await sleep(200)
        expect(await running.engine.order(opened.orderId)).toMatchObject({ state: 'capturing' })
        expect(await running.engine.order(opening.orderId)).toMatchObject({ state: 'queued' })
        expect(await running.engine.status()).toMatchObject({ queuedOpenings: 1, queuedCaptures: 1 })
        rpc.mood = 'well'
        expect(await running.engine.lock({ ...input, timeoutMs: 60_000 })).toMatchObject({ status: 'locked' })
        await isIn('closed', opened)
      },
    )

    it('that loses its answer to a sent transaction: it is sent once', async () => {
      rpc.deafTo = 'eth_sendRawTransaction'
      const opening = await world.opening()
      const before = await world.sent()
      expect(await lock(running.engine, opening)).toMatchObject({ status: 'locked' })
      expect((await world.sent()) - before).toBe(1)
    })
  })

  describe('a verifier', () => {
    let verifier: Address
    beforeEach(async () => {
      const { abi, bytecode } = await mock('HostileVerifier')
      const contract = await new ContractFactory(abi, bytecode, world.devnet.wallets[0]).deploy()
      await contract.waitForDeployment()
      verifier = (await contract.getAddress()) as Address
    })

    async function setMood(
      mood: number,
      { urgent = false, of: to = verifier }: { readonly urgent?: boolean; readonly of?: Address } = {},
    ): Promise<void> {
      const data = `${id('setMood(uint8)').slice(0, 10)}${mood.toString(16).padStart(64, '0')}`
      const fees = urgent ? { maxFeePerGas: 900n * GWEI, maxPriorityFeePerGas: 90n * GWEI, gasLimit: 100_000n } : {}
      const sent = await world.devnet.wallets[8].sendTransaction({ to, data, ...fees })
      if (!urgent) await sent.wait()
    }

    it('that burns gas: the capture has failed, and the others go', async () => {
      await again({ policy: { captureIntervalMs: 300 } })
      const [hostile, good] = [await world.opening({ terms: { verifier } }), await world.opening()]
      await Promise.all([hostile, good].map((opening) => lock(running.engine, opening)))
      await setMood(MOODS.burnsGas)
      for (const opening of [hostile, good]) await running.engine.capture(world.capture(opening, 3n))
      await isIn('closed', good)
      await eventually(async () => (await running.engine.order(hostile.orderId))?.captureFailure !== undefined)
      expect(await world.chainOrder(hostile.orderId)).toBe('open')
    })

    it('that accepts in the simulation and refuses on chain: the others are captured in the same block (E8)', async () => {
      await again({ policy: { captureIntervalMs: 300 } })
      const [hostile, good] = [await world.opening({ terms: { verifier } }), await world.opening()]
      await Promise.all([hostile, good].map((opening) => lock(running.engine, opening)))
      await world.devnet.setAutomine(false)
      for (const opening of [hostile, good]) await running.engine.capture(world.capture(opening, 3n))
      await eventually(async () => (await pooled()).length === 2)
      await setMood(MOODS.refuses, { urgent: true })
      await world.devnet.mine()
      expect(await world.settledFees(good.orderId)).toEqual([3n])
      await world.devnet.setAutomine(true)
      await isIn('closed', good)
      await eventually(async () => (await running.engine.order(hostile.orderId))?.captureFailure === 'EvidenceRefused')
    })

    it('that asks the code of a node, for evidence that is no key’s there: it spoils the captures of no other', async () => {
      await again({ policy: { captureIntervalMs: 300 } })
      const { devnet } = world
      const key = devnet.wallets[6]
      const node = key.address as Address
      const [hostile, good] = [await world.opening({ terms: { node } }), await world.opening()]
      await Promise.all([hostile, good].map((opening) => lock(running.engine, opening)))
      // An account with a key and with code (EIP-7702), and a signature of 64 bytes, which only its code takes.
      await devnet.provider.send('hardhat_setCode', [node, await codeOf('HostileWallet')])
      const { evidence, ...capture } = world.capture(hostile, 3n, key)
      await devnet.setAutomine(false)
      await running.engine.capture({ ...capture, evidence: Signature.from(evidence).compactSerialized as Hex })
      await running.engine.capture(world.capture(good, 3n))
      await eventually(async () => (await pooled()).length === 2)
      await setMood(MOODS.refuses, { urgent: true, of: node })
      await devnet.mine()
      expect([await world.settledFees(good.orderId), await world.settledFees(hostile.orderId)]).toEqual([[3n], []])
      await devnet.setAutomine(true)
    })

    it('that is not known: captures of two nodes under it do not share a transaction', async () => {
      await again({ policy: { captureIntervalMs: 300 } })
      const other = world.devnet.wallets[6]
      const bystander = { node: other.address as Address, verifier }
      const [hostile, neighbour] = [
        await world.opening({ terms: { verifier } }),
        await world.opening({ terms: bystander }),
      ]
      await Promise.all([hostile, neighbour].map((opening) => lock(running.engine, opening)))
      await world.devnet.setAutomine(false)
      await running.engine.capture(world.capture(hostile, 3n))
      await running.engine.capture(world.capture(neighbour, 3n, other))
      await eventually(async () => (await pooled()).length === 2)
      await world.devnet.mine()
      for (const { orderId } of [hostile, neighbour]) expect(await world.settledFees(orderId)).toEqual([3n])
    })

    it('captures of many nodes never exceed the transactions that may be pending', async () => {
      await again({ policy: { captureIntervalMs: 100, maxPending: 3 } })
      const openings: Opening[] = []
      for (const { address } of world.devnet.wallets.slice(4, 9)) {
        openings.push(await world.opening({ terms: { node: address as Address, verifier } }))
      }
      for (const opening of openings) await lock(running.engine, opening)
      await world.devnet.setAutomine(false)
      for (const opening of openings) await running.engine.capture(world.capture(opening, 3n))
      await eventually(async () => (await pooled()).length === 2)
      await sleep(500)
      expect(await pooled()).toHaveLength(2)
      await world.devnet.setAutomine(true)
      await world.devnet.mine()
      for (const opening of openings) await isIn('closed', opening)
    })

    it('captures of many nodes that fill every block: payments are locked all the same', async () => {
      await again({ policy: { captureIntervalMs: 100, maxPending: 4 } })
      const openings: Opening[] = []
      for (const { address } of world.devnet.wallets.slice(4, 9)) {
        openings.push(await world.opening({ terms: { node: address as Address, verifier } }))
      }
      for (const opening of openings) await lock(running.engine, opening)
      await world.devnet.setAutomine(false)
      for (const opening of openings) await running.engine.capture(world.capture(opening, 3n))
      await eventually(async () => (await pooled()).length === 3)
      const honest = await world.opening()
      const locking = lock(running.engine, honest)
      await eventually(async () => (await pooled()).length === 4)
      await world.devnet.mine()
      expect(await locking).toMatchObject({ status: 'locked' })
      await world.devnet.setAutomine(true)
      for (const opening of openings) await isIn('closed', opening)
    })
  })

  it('carry no more than was planned: type 2, to the escrow, without value', async () => {
    const opening = await world.opening()
    const outcome = await lock(running.engine, opening)
    const hash = outcome.status === 'locked' ? outcome.transaction : undefined
    const sent = await world.devnet.provider.getTransaction(hash ?? '')
    expect(sent).toMatchObject({ to: world.escrow.escrow, value: 0n, type: 2 })
    const receipt = await world.devnet.provider.getTransactionReceipt(hash ?? '')
    expect((sent?.gasLimit ?? 0n) * 100n).toBeLessThanOrEqual((receipt?.gasUsed ?? 0n) * 130n)
  })
})
