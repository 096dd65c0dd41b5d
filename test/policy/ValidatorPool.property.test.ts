import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ethers } from 'hardhat'
import fc from 'fast-check'
import type { ValidatorPool } from '../../packages/bindings/src/generated/typechain/contracts/policy/ValidatorPool'
import {
  OPG,
  deploy,
  deployFixture,
  nodeOnly,
  openOrder,
  settleRow,
  settleRows,
  type Account,
} from '../support/fixture'
import { poolFromEvents } from '../support/pool'

/** One call, by random numbers. */
type Step =
  | { readonly kind: 'earn' | 'gift'; readonly amount: bigint }
  | { readonly kind: 'setWeights'; readonly weights: readonly { readonly who: number; readonly weight: number }[] }
  | { readonly kind: 'claim' | 'claimTo'; readonly who: number }
  | { readonly kind: 'distribute' | 'collectByAnyone' | 'moveRecipient' }

const VALIDATORS = 4
const FINE = 1n << 220n
const who = fc.nat(VALIDATORS - 1)
const amount = fc.oneof(fc.bigInt(1n, 100n), fc.bigInt(1n, OPG))
const weight = fc.oneof(fc.nat(3), fc.integer({ min: 0, max: 2 ** 32 - 1 }))

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('earn' as const, 'gift' as const), amount }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('setWeights' as const),
      weights: fc.array(fc.record({ who, weight }), { maxLength: 4 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('claim' as const, 'claimTo' as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('distribute' as const, 'collectByAnyone' as const, 'moveRecipient' as const),
    }),
  },
)

async function poolFixture() {
  const f = await deployFixture()
  const pool = await deploy<ValidatorPool>('ValidatorPool', [f.deployer.address, f.home.token, f.home.escrow])
  await f.policy.setNetworkRecipient(pool)
  const terms = nodeOnly(f.terms)
  const { order, orderId } = await openOrder(f, { amount: 1_000n * OPG }, { terms })
  const validators: readonly Account[] = [f.stranger, f.otherNode, f.modelOwner, f.facilitator]
  return { ...f, pool, terms, order, orderId, validators }
}
type World = Awaited<ReturnType<typeof poolFixture>>

/** What the pool should hold and owe, in fractions so fine that they are as good as exact. */
class PoolModel {
  readonly #weights = Array.from({ length: VALIDATORS }, () => 0n)
  readonly #exact = Array.from({ length: VALIDATORS }, () => 0n)
  readonly claimed = Array.from({ length: VALIDATORS }, () => 0n)
  inEscrow = 0n
  waiting = 0n
  divided = 0n
  isRecipient = true

  get totalWeight(): bigint {
    return this.#weights.reduce((sum, weight) => sum + weight, 0n)
  }

  weight(who: number): bigint {
    return this.#weights[who] ?? 0n
  }

  /** Everything that ever was the validator's, rounded down. */
  due(who: number): bigint {
    return (this.#exact[who] ?? 0n) / FINE
  }

  collect(): void {
    if (!this.isRecipient) return
    this.waiting += this.inEscrow
    this.inEscrow = 0n
  }

  distribute(): void {
    this.collect()
    const total = this.totalWeight
    if (total === 0n) return
    for (const [who, weight] of this.#weights.entries()) {
      this.#exact[who] = (this.#exact[who] ?? 0n) + (this.waiting * weight * FINE) / total
    }
    this.divided += this.waiting
    this.waiting = 0n
  }

  setWeights(weights: readonly { readonly who: number; readonly weight: number }[]): void {
    this.distribute()
    for (const { who, weight } of weights) this.#weights[who] = BigInt(weight)
  }

  claim(who: number, paid: bigint): void {
    this.claimed[who] = (this.claimed[who] ?? 0n) + paid
    this.divided -= paid
  }
}

async function play(f: World, model: PoolModel, step: Step): Promise<void> {
  switch (step.kind) {
    case 'earn': {
      const before = await f.escrow.networkCredit()
      const { released } = await f.escrow.orders(f.orderId)
      await settleRows(f, [settleRow(f.order, released + step.amount)], { terms: f.terms })
      await f.escrow.collectNetwork([f.node])
      model.inEscrow += (await f.escrow.networkCredit()) - before
      return
    }
    case 'gift':
      await f.token.mint(f.pool, step.amount)
      model.waiting += step.amount
      return
    case 'setWeights':
      await f.pool.setWeights(step.weights.map(({ who, weight }) => ({ validator: accountOf(f, who).address, weight })))
      model.setWeights(step.weights)
      return
    case 'claim':
    case 'claimTo': {
      const validator = accountOf(f, step.who)
      const payee = step.kind === 'claim' ? validator : f.requester
      const before = await f.token.balanceOf(payee)
      await (step.kind === 'claim' ? f.pool.claim(validator) : f.pool.connect(validator).claimTo(payee))
      model.claim(step.who, (await f.token.balanceOf(payee)) - before)
      return
    }
    case 'distribute':
      await f.pool.connect(f.network).distribute()
      model.distribute()
      return
    case 'collectByAnyone':
      // As the recipient, the network account may send what is not the pool's to it: a gift like any other.
      await f.escrow.connect(f.network).claimNetwork(f.pool)
      model.waiting += model.inEscrow
      model.inEscrow = 0n
      return
    case 'moveRecipient':
      await f.policy.setNetworkRecipient(model.isRecipient ? f.network : f.pool)
      model.isRecipient = !model.isRecipient
      return
  }
}

async function check(f: World, model: PoolModel): Promise<void> {
  const books = poolFromEvents(
    f.pool,
    await ethers.provider.getLogs({ address: await f.pool.getAddress(), fromBlock: 0 }),
  )
  let owed = 0n
  for (let who = 0; who < VALIDATORS; ++who) {
    const validator = accountOf(f, who)
    const claimable = await f.pool.claimable(validator)
    owed += claimable
    const got = claimable + (model.claimed[who] ?? 0n)
    expect(got <= model.due(who), 'never more than its share').to.equal(true)
    expect(model.due(who) - got <= 1n, 'less than two base units less').to.equal(true)
    expect(await f.pool.weightOf(validator)).to.equal(model.weight(who))
    expect(books.claimable(validator.address), 'from events (E11)').to.equal(claimable)
    expect(books.weightOf(validator.address), 'from events (E11)').to.equal(model.weight(who))
  }
  expect(await f.pool.totalWeight()).to.equal(model.totalWeight)
  expect(books.totalWeight, 'from events (E11)').to.equal(model.totalWeight)
  expect(books.divided, 'from events (E11)').to.equal(model.divided)
  expect(await f.escrow.networkCredit()).to.equal(model.inEscrow)
  expect(await f.pool.undistributed()).to.equal(model.waiting)
  const balance = await f.token.balanceOf(f.pool)
  expect(balance, 'nothing is lost').to.equal(model.divided + model.waiting)
  expect(owed <= model.divided, 'solvent').to.equal(true)
}

function accountOf(f: World, who: number): Account {
  const account = f.validators[who]
  if (account === undefined) throw new TypeError(`There is no validator ${String(who)}`)
  return account
}

describe('ValidatorPool under random calls in every order', () => {
  it('is solvent, pays nobody more than its share, loses nothing, and can be rebuilt from its events', async function () {
    this.timeout(300_000)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        const f = await loadFixture(poolFixture)
        const model = new PoolModel()
        for (const [i, next] of steps.entries()) {
          await play(f, model, next)
          if (i % 4 === 3) await check(f, model)
        }
        await check(f, model)

        for (const validator of f.validators) await f.pool.claim(validator)
        const stays = (await f.token.balanceOf(f.pool)) - (await f.pool.undistributed())
        expect(stays <= BigInt(VALIDATORS), 'fractions').to.equal(true)
      }),
      { numRuns: 30 },
    )
  })
})
