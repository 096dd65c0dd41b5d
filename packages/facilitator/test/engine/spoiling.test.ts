import type { Address, Hex } from '@opg/protocol'
import { ContractFactory, type TransactionRequest, Signature, id } from 'ethers'
import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Opening } from '../../src/engine/types.js'
import { pooled } from './support/pool.js'
import { EngineWorld, type RunningEngine, eventually, lock, sleep } from './support/world.js'

const GWEI = 10n ** 9n
/** Moods of the hostile verifier; 0 and 1 are the hostile wallet's too. */
const MOODS = { accepts: 0, refuses: 1, burnsGas: 8 }
/** Pays to be mined before all others, and does not wait. */
const FIRST: TransactionRequest = {
  maxFeePerGas: 900n * GWEI,
  maxPriorityFeePerGas: 90n * GWEI,
  gasLimit: 100_000n,
}

describe('captures that somebody spoils', () => {
  let world: EngineWorld
  let running: RunningEngine
  let snapshot: string
  let verifier: Address

  beforeAll(async () => {
    world = await EngineWorld.start()
  })
  afterAll(() => world.stop())
  beforeEach(async () => {
    snapshot = await world.devnet.snapshot()
    running = await world.startEngine()
    verifier = await deploy('HostileVerifier')
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

  async function deploy(mock: 'HostileVerifier' | 'HostileWallet', ...args: readonly string[]): Promise<Address> {
    const path = `../../../../artifacts/contracts/dev/mocks/${mock}.sol/${mock}.json`
    const { abi, bytecode } = JSON.parse(await readFile(new URL(path, import.meta.url), 'utf8')) as {
      readonly abi: []
      readonly bytecode: string
    }
    const contract = await new ContractFactory(abi, bytecode, world.devnet.wallets[0]).deploy(...args)
    await contract.waitForDeployment()
    return (await contract.getAddress()) as Address
  }

  async function setMood(contract: Address, mood: number, fees?: TransactionRequest): Promise<void> {
    const data = `${id('setMood(uint8)').slice(0, 10)}${mood.toString(16).padStart(64, '0')}`
    const sent = await world.devnet.wallets[8].sendTransaction({ to: contract, data, ...fees })
    if (fees === undefined) await sent.wait()
  }

  it('a verifier that burns gas: the capture has failed, and the others go', async () => {
    await again({ policy: { captureIntervalMs: 300 } })
    const [hostile, good] = [await world.opening({ terms: { verifier } }), await world.opening()]
    await Promise.all([hostile, good].map((opening) => lock(running.engine, opening)))
    await setMood(verifier, MOODS.burnsGas)
    for (const opening of [hostile, good]) await running.engine.capture(world.capture(opening, 3n))
    await isIn('closed', good)
    await eventually(async () => (await running.engine.order(hostile.orderId))?.captureFailure !== undefined)
    expect(await world.chainOrder(hostile.orderId)).toBe('open')
  })

  it('a verifier that accepts in the simulation and refuses on chain: the others are captured in the same block (E8)', async () => {
    await again({ policy: { captureIntervalMs: 300 } })
    const [hostile, good] = [await world.opening({ terms: { verifier } }), await world.opening()]
    await Promise.all([hostile, good].map((opening) => lock(running.engine, opening)))
    await world.devnet.setAutomine(false)
    for (const opening of [hostile, good]) await running.engine.capture(world.capture(opening, 3n))
    await eventually(async () => (await pooled(world)).length === 2)
    await setMood(verifier, MOODS.refuses, FIRST)
    await world.devnet.mine()
    expect(await world.settledFees(good.orderId)).toEqual([3n])
    await world.devnet.setAutomine(true)
    await isIn('closed', good)
    await eventually(async () => (await running.engine.order(hostile.orderId))?.captureFailure === 'EvidenceRefused')
  })

  it('a verifier that is not known: captures of two nodes under it do not share a transaction', async () => {
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
    await eventually(async () => (await pooled(world)).length === 2)
    await world.devnet.mine()
    for (const { orderId } of [hostile, neighbour]) expect(await world.settledFees(orderId)).toEqual([3n])
  })

  it('captures of many nodes take half of the transactions that may be pending, and no more', async () => {
    await again({ policy: { captureIntervalMs: 100, maxPending: 4 } })
    const openings: Opening[] = []
    for (const { address } of world.devnet.wallets.slice(4, 9)) {
      openings.push(await world.opening({ terms: { node: address as Address, verifier } }))
    }
    for (const opening of openings) await lock(running.engine, opening)
    await world.devnet.setAutomine(false)
    for (const opening of openings) await running.engine.capture(world.capture(opening, 3n))
    await eventually(async () => (await pooled(world)).length === 2)
    await sleep(500)
    expect(await pooled(world)).toHaveLength(2)
    await world.devnet.setAutomine(true)
    await world.devnet.mine()
    for (const opening of openings) await isIn('closed', opening)
  })

  it('a node with code signs in a form that only its code takes, and its code then refuses: the others are captured', async () => {
    await again({ policy: { captureIntervalMs: 300 } })
    const traitor = world.devnet.wallets[6]
    const wallet = await deploy('HostileWallet', world.devnet.deployment.token, world.devnet.wallets[9].address)
    // As EIP-7702 does: the account has its key still, and code besides.
    const { provider } = world.devnet
    await provider.send('anvil_setCode', [traitor.address, await provider.getCode(wallet)])
    const node = traitor.address as Address
    const [hostile, good] = [await world.opening({ terms: { node } }), await world.opening()]
    await Promise.all([hostile, good].map((opening) => lock(running.engine, opening)))
    await world.devnet.setAutomine(false)
    const capture = world.capture(hostile, 3n, traitor)
    const evidence = Signature.from(capture.evidence).compactSerialized as Hex
    await running.engine.capture({ ...capture, evidence })
    await running.engine.capture(world.capture(good, 3n))
    await eventually(async () => (await pooled(world)).length === 2)
    await setMood(node, MOODS.refuses, FIRST)
    await world.devnet.mine()
    expect(await world.settledFees(good.orderId)).toEqual([3n])
    expect(await world.settledFees(hostile.orderId)).toEqual([])
  })

  it('a node lets its capture fail in the block and sends it again, to spend gas: ten times, and no more', async () => {
    await again({ policy: { captureIntervalMs: 50, maxTries: 3 } })
    const hostile = await world.opening({ terms: { verifier } })
    await lock(running.engine, hostile)
    const before = await world.sent()
    const capture = world.capture(hostile, 3n)
    for (let failures = 1; failures <= 10; failures++) {
      await setMood(verifier, MOODS.accepts)
      await world.devnet.setAutomine(false)
      expect(await running.engine.capture(capture)).toEqual({ status: 'queued' })
      await eventually(async () => (await pooled(world)).length === 1)
      await setMood(verifier, MOODS.refuses, FIRST)
      await world.devnet.setAutomine(true)
      await world.devnet.mine()
      await eventually(async () => (await running.engine.order(hostile.orderId))?.captureFailure !== undefined)
    }
    await setMood(verifier, MOODS.accepts)
    expect(await running.engine.capture(capture)).toEqual({ status: 'failed' })
    expect((await world.sent()) - before).toBe(10)
    expect(await world.chainOrder(hostile.orderId)).toBe('open')
  })

  it('many hostile nodes queue first: an honest capture and an opening find room beside them', async () => {
    await again({ policy: { captureIntervalMs: 300, maxPending: 4 } })
    const hostile: Opening[] = []
    const nodes = world.devnet.wallets.slice(4, 9)
    for (const { address } of nodes) {
      hostile.push(await world.opening({ terms: { node: address as Address, verifier } }))
    }
    const good = await world.opening()
    for (const opening of [...hostile, good]) await lock(running.engine, opening)
    await world.devnet.setAutomine(false)
    for (const opening of hostile) await running.engine.capture(world.capture(opening, 3n))
    await eventually(async () => (await running.engine.status()).pendingTransactions === 2)
    await running.engine.capture(world.capture(good, 3n))
    await eventually(async () => (await running.engine.status()).pendingTransactions === 3)
    const late = await world.opening()
    const waiting = lock(running.engine, late)
    await eventually(async () => (await running.engine.status()).pendingTransactions === 4)
    await setMood(verifier, MOODS.refuses, FIRST)
    await world.devnet.mine()
    expect(await world.settledFees(good.orderId)).toEqual([3n])
    expect(await waiting).toMatchObject({ status: 'locked' })
    for (const { orderId } of hostile) expect(await world.settledFees(orderId)).toEqual([])
  })
})
