import { KeyUnusableError } from '@opg/operator'
import { Wallet } from 'ethers'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ecdsaSigner } from '../../src/receipts/ecdsaSigner.js'
import { acceptQuorumVerifier, quorumKeyOf } from '../../src/receipts/quorumVerifier.js'
import type { VerifierOptions } from '../../src/service/acceptVerifier.js'
import { setUpNode } from '../support/fixture.js'
import { type TestValidator, type ValidatorMood, startValidator } from '../support/validator.js'
import { type OpenOrder, orderInput } from '../support/world.js'

const FOREVER = { signal: new AbortController().signal }
const K = 2

describe('orders that are settled by a quorum', () => {
  const t = setUpNode({ isolated: true })
  const validators: TestValidator[] = []

  beforeAll(async () => {
    const wallets = Array.from({ length: 3 }, () => new Wallet(Wallet.createRandom().privateKey))
    for (const wallet of wallets) validators.push(await startValidator(wallet))
    validators.sort((a, b) => (BigInt(a.validator.address) < BigInt(b.validator.address) ? -1 : 1))
  })
  afterAll(() => Promise.all(validators.map((validator) => validator.stop())))
  afterEach(() => {
    for (const validator of validators) {
      validator.mood = 'honest'
      validator.asked.length = 0
    }
  })

  const set = () => validators.map(({ validator }) => validator)
  const terms = () => ({
    verifier: t.world.devnet.deployment.quorumReceiptVerifier,
    evidenceKey: quorumKeyOf({ k: K, validators: set() }),
  })
  const options = (timeoutMs = 2_000): { readonly verifiers: readonly VerifierOptions[] } => ({
    verifiers: [
      {
        kind: 'quorum',
        address: t.world.devnet.deployment.quorumReceiptVerifier,
        signer: ecdsaSigner(t.world.node.privateKey),
        // In any order: it is sorted as the verifier asks.
        quorum: { k: K, validators: set().reverse(), timeoutMs, fetch },
      },
      {
        kind: 'key',
        address: t.world.devnet.deployment.keyReceiptVerifier,
        signer: ecdsaSigner(t.world.node.privateKey),
      },
    ],
  })

  it('names its set as the contract does', async () => {
    const { quorumReceiptVerifier } = t.world.devnet.contracts
    const addresses = set().map(({ address }) => address)
    expect(terms().evidenceKey).toBe(await quorumReceiptVerifier.evidenceKeyOf(K, addresses))
  })

  it('settles with the signatures of k of them, who saw the last receipt of each order', async () => {
    await t.withNode(options(), async (node) => {
      const orders = [await t.used(1, { at: node, terms: terms() }), await t.used(2, { at: node, terms: terms() })]
      const report = await node.settler.settleOnce({ force: true })
      expect(report).toMatchObject({ submitted: [{ settlements: { length: 2 } }] })
      await node.settler.settleAll(FOREVER)
      expect((await Promise.all(orders.map(t.chainState))).map(({ released }) => released)).toEqual([15n, 30n])
      const [question] = validators[0]?.asked ?? []
      expect(question).toMatchObject({ node: t.world.node.address, terms: terms() })
      expect(question?.receipts.map(({ receipt }) => receipt.seq)).toEqual([0n, 1n])
    })
  })

  it.each<ValidatorMood>(['silent', 'hang-up', 'garbage', 'endless', 'refuses', 'other-batch', 'moved'])(
    'does without one of them that is or does this: %s',
    async (mood) => {
      const [first] = validators
      if (first === undefined) throw new TypeError('no validators')
      first.mood = mood
      await t.withNode(options(), async (node) => {
        const order = await t.used(1, { at: node, terms: terms() })
        await node.settler.settleAll(FOREVER)
        expect((await t.chainState(order)).released).toBe(15n)
      })
    },
  )

  it.each<ValidatorMood>(['silent', 'hang-up', 'garbage', 'refuses', 'other-batch'])(
    'waits while fewer than k sign, loses nothing and holds up nobody else: %s',
    async (mood) => {
      for (const validator of validators.slice(1)) validator.mood = mood
      await t.withNode(options(300), async (node) => {
        const [order, other] = [await t.used(1, { at: node, terms: terms() }), await t.used(1, { at: node })]
        await node.settler.settleAll(FOREVER)
        expect((await t.chainState(order)).released).toBe(0n)
        expect((await t.chainState(other)).released).toBe(15n)
        expect(await node.store.order(order.orderId)).toMatchObject({ cumulativeFee: 15n, inFlight: false })
        expect(await t.serve(order, { index: 1n }, node)).toBe('served')
        for (const validator of validators) validator.mood = 'honest'
        await node.settler.settleAll(FOREVER)
        expect((await t.chainState(order)).released).toBe(30n)
        expect(await t.settledEvents(order)).toBe(1)
      })
    },
  )

  it('nobody waits for validators who are silent: what needs none of them is settled first', async () => {
    for (const validator of validators) validator.mood = 'silent'
    await t.withNode(options(60_000), async (node) => {
      const claimBy = (await t.world.devnet.now()) + 5_000 // nearest, so first by time
      await t.used(1, { at: node, terms: terms(), order: { claimBy } })
      const other = await t.used(1, { at: node })
      const pass = node.settler.settleOnce({ force: true })
      while ((await t.chainState(other)).released === 0n) await new Promise((resolve) => setTimeout(resolve, 20))
      expect(validators.every(({ asked }) => asked.length <= 1)).toBe(true)
      for (const validator of validators) validator.hangUp()
      await pass
    })
  })

  it("a validator that sends another's signature counts for nobody", async () => {
    const [first, second] = validators
    if (first === undefined || second === undefined) throw new TypeError('no validators')
    const twice: VerifierOptions = {
      kind: 'quorum',
      address: t.world.devnet.deployment.quorumReceiptVerifier,
      signer: ecdsaSigner(t.world.node.privateKey),
      // All of them are asked at the first one's address.
      quorum: {
        k: K,
        validators: set().map(({ address }) => ({ address, url: first.validator.url })),
        timeoutMs: 500,
        fetch,
      },
    }
    await t.withNode({ verifiers: [twice] }, async (node) => {
      const order = await t.used(1, { at: node, terms: terms() })
      expect(await node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [], pending: 0 })
      expect((await t.chainState(order)).released).toBe(0n)
    })
  })

  it('keeps the lane while it waits, longer than its lease', async () => {
    for (const validator of validators.slice(1)) validator.mood = 'silent'
    const databasePath = t.world.freshBooks()
    await t.withNode({ ...options(1_500), databasePath, leaseMs: 400 }, async (node) => {
      await t.withNode({ ...options(1_500), databasePath, leaseMs: 400 }, async (other) => {
        await t.used(1, { at: node, terms: terms() })
        const waiting = node.settler.settleOnce({ force: true })
        await new Promise((resolve) => setTimeout(resolve, 900))
        expect(await other.settler.settleOnce({ force: true })).toEqual({ status: 'busy' })
        expect(await waiting).toMatchObject({ status: 'done', submitted: [] })
      })
    })
  })

  it('settles slices, each by signatures of its own', async () => {
    await t.withNode(options(), async (node) => {
      const { verifier, evidenceKey } = terms()
      const slices = await t.world.openSlices({ terms: { verifier, evidenceKey } })
      const used: OpenOrder[] = slices.slice(0, 2)
      for (const slice of used) {
        expect(await node.service.admitOrder(orderInput(slice))).toMatchObject({ status: 'admitted' })
        expect(await t.serve(slice, { index: 0n }, node)).toBe('served')
        await node.service.requestClose(t.world.signClose(slice))
      }
      expect(await node.settler.settleOnce({ force: true })).toMatchObject({
        submitted: [{ settlements: { length: 2 } }],
      })
      await node.settler.settleAll(FOREVER)
      expect(await Promise.all(used.map(t.settledEvents))).toEqual([1, 1])
    })
  })

  it.each<[string, { readonly k: number; readonly validators?: readonly [] }]>([
    ['no k', { k: 0 }],
    ['k over n', { k: 4 }],
    ['a part of one', { k: 1.5 }],
    ['nobody', { k: 1, validators: [] }],
  ])('is no quorum: %s', (_, change) => {
    const quorum = { validators: set(), timeoutMs: 1, fetch, ...change }
    expect(() => acceptable(quorum)).toThrow(KeyUnusableError)
  })

  it('is no quorum: the same validator twice, or nobody as one', () => {
    const [first] = set()
    if (first === undefined) throw new TypeError('no validators')
    const zero = { ...first, address: `0x${'00'.repeat(20)}` as const }
    for (const validators of [
      [first, first],
      [first, zero],
    ]) {
      expect(() => acceptable({ k: 1, validators, timeoutMs: 1, fetch })).toThrow(KeyUnusableError)
    }
  })

  function acceptable(quorum: Parameters<typeof acceptQuorumVerifier>[0]['quorum']): unknown {
    const address = t.world.devnet.deployment.quorumReceiptVerifier
    const signer = ecdsaSigner(t.world.node.privateKey)
    const node = t.world.devnet.deployment.escrow
    return acceptQuorumVerifier({ address, codeHash: '0x', signer, node, quorum, logger: t.world.logger })
  }
})
