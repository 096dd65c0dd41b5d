import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ethers } from 'hardhat'
import { MaxUint256, type ContractTransactionResponse } from 'ethers'
import fc from 'fast-check'
import {
  DAY,
  FACILITATOR_BPS,
  GAS_PER_ORDER,
  deployFixture,
  makeOrder,
  orderIdOf,
  settleRow,
  settlementEvidence,
  signOrder,
  now,
  type Fixture,
  type Order,
} from '../support/fixture'
import { EscrowModel } from '../support/model'
import { booksFromEvents } from '../support/books'

/** One call, by random numbers that are cut down to what there is when it is made. */
type Step =
  | {
      readonly kind: 'open' | 'openFunded'
      readonly payer: number
      readonly amount: bigint
      readonly days: number
      readonly single: boolean
    }
  | { readonly kind: 'openBatch'; readonly amounts: readonly bigint[]; readonly days: number }
  | {
      readonly kind: 'settle' | 'settleWithClaim'
      readonly rows: readonly { readonly pick: number; readonly permille: number; readonly close: boolean }[]
    }
  | { readonly kind: 'release' | 'reclaim' | 'reopen'; readonly pick: number }
  | { readonly kind: 'claim' | 'claimRoyalty' | 'claimNetwork'; readonly who: number }
  | { readonly kind: 'wait'; readonly days: number }
  | { readonly kind: 'reprice'; readonly networkBps: number; readonly royaltyBps: number }

const amount = fc.oneof(fc.bigInt(1n, 40n), fc.bigInt(1n, 10n ** 20n))
const pick = fc.nat(30)
const days = fc.integer({ min: 1, max: 60 })
const row = fc.record({ pick, permille: fc.integer({ min: 0, max: 1_050 }), close: fc.boolean() })

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('open' as const, 'openFunded' as const),
      payer: fc.nat(1),
      amount,
      days,
      single: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('openBatch' as const),
      amounts: fc.array(amount, { maxLength: 4 }),
      days,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('settle' as const, 'settleWithClaim' as const),
      rows: fc.array(row, { maxLength: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('release' as const, 'reclaim' as const, 'reopen' as const), pick }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('claim' as const, 'claimRoyalty' as const, 'claimNetwork' as const),
      who: fc.nat(3),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), days }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('reprice' as const),
      networkBps: fc.integer({ min: 0, max: 1_000 }),
      royaltyBps: fc.integer({ min: 0, max: 2_000 }),
    }),
  },
)

/** Plays steps against the contract and the model alike. */
class Player {
  readonly #orders: Order[] = []

  constructor(
    private readonly f: Fixture,
    private readonly model: EscrowModel,
  ) {}

  async play(step: Step): Promise<void> {
    const { f, model } = this
    switch (step.kind) {
      case 'open': {
        const signer = step.payer === 0 ? f.payer : f.otherPayer
        const order = await this.#order(signer.address, step.amount, step.days, step.single)
        await this.#send(f.escrow.open(f.terms, await signOrder(f, signer, order)))
        model.open(this.#id(order), order)
        return
      }
      case 'openFunded': {
        const order = await this.#order(
          step.payer === 0 ? f.payer.address : f.otherPayer.address,
          step.amount,
          step.days,
          step.single,
        )
        await this.#send(f.escrow.connect(f.stranger).openFunded(f.terms, order))
        model.open(this.#id(order), order)
        return
      }
      case 'openBatch': {
        const orders: Order[] = []
        for (const amount of step.amounts) orders.push(await this.#order(f.payer.address, amount, step.days, false))
        const signed = await Promise.all(orders.map((order) => signOrder(f, f.payer, order)))
        await this.#send(f.escrow.openBatch(f.terms, signed, GAS_PER_ORDER))
        for (const order of orders) model.open(this.#id(order), order)
        return
      }
      case 'settle':
      case 'settleWithClaim': {
        const rows = step.rows.flatMap(({ pick, permille, close }) => {
          const order = this.#pick(pick)
          return order === undefined
            ? []
            : [settleRow(order, (order.amount * BigInt(permille)) / 1_000n, { close, receiptCount: 1n })]
        })
        const evidence = await settlementEvidence(f, f.node, rows)
        const withClaim = step.kind === 'settleWithClaim'
        await this.#send(
          withClaim ? f.escrow.settleWithClaim(f.terms, rows, evidence) : f.escrow.settle(f.terms, rows, evidence),
        )
        model.settle(
          rows.map((given) => ({ id: this.#id(given.order), ...given })),
          await now(),
        )
        if (withClaim) model.claim(f.node.address)
        return
      }
      case 'release': {
        const order = this.#pick(step.pick)
        if (order === undefined) return
        const released = await this.#try(() => f.escrow.connect(f.node).release(f.terms, order))
        expect(released, 'release').to.equal(model.isOpen(this.#id(order)))
        if (released) model.close(this.#id(order))
        return
      }
      case 'reclaim': {
        const order = this.#pick(step.pick)
        if (order === undefined) return
        const reclaimed = await this.#try(() => f.escrow.connect(f.stranger).reclaim(f.terms, order))
        expect(reclaimed, 'reclaim').to.equal(model.isOpen(this.#id(order)) && (await now()) >= order.claimBy)
        if (reclaimed) model.close(this.#id(order))
        return
      }
      case 'reopen': {
        const order = this.#pick(step.pick)
        // Known orders never open again, whatever became of them: nothing changes in the model (E5).
        if (order !== undefined) await this.#try(() => f.escrow.connect(f.stranger).openFunded(f.terms, order))
        return
      }
      case 'claim': {
        const account = [f.node, f.facilitator, f.payer, f.stranger][step.who] ?? f.node
        await this.#send(f.escrow.claim(account))
        model.claim(account.address)
        return
      }
      case 'claimRoyalty':
        await this.#send(f.escrow.claimRoyalty(f.modelId, f.modelOwner))
        model.claimRoyalty()
        return
      case 'claimNetwork':
        await this.#send(f.escrow.claimNetwork(f.network))
        model.claimNetwork()
        return
      case 'wait':
        await time.increase(BigInt(step.days) * DAY)
        return
      case 'reprice':
        await this.#send(f.policy.setNetworkBps(step.networkBps))
        await this.#send(f.registry.connect(f.modelOwner).setRoyaltyBps(f.modelId, step.royaltyBps))
        model.reprice(BigInt(step.networkBps), BigInt(step.royaltyBps))
        return
    }
  }

  /** E1, E4, E5, E7 and E11, after every call. */
  async check(): Promise<void> {
    const { f, model } = this
    const accounts = [f.node, f.facilitator, f.payer, f.otherPayer, f.stranger]
    const books = booksFromEvents(f.escrow, await ethers.provider.getLogs({ address: f.home.escrow, fromBlock: 0 }))
    for (const { address } of accounts) {
      const credit = await f.escrow.credits(address)
      expect(credit, `credit of ${address}`).to.equal(model.credit(address))
      expect(books.credit(address), 'from events (E11)').to.equal(credit)
    }
    expect(await f.escrow.royalties(f.modelId)).to.equal(model.royalty)
    expect(books.royalty(f.modelId), 'from events (E11)').to.equal(model.royalty)
    expect(await f.escrow.networkCredit()).to.equal(model.network)
    expect(books.network, 'from events (E11)').to.equal(model.network)

    for (const order of this.#orders) {
      const id = this.#id(order)
      const state = await f.escrow.orders(id)
      expect(state.closed, 'closed').to.equal(!model.isOpen(id))
      if (!state.closed) expect(state.released, 'released').to.equal(model.released(id))
      expect(books.left(id), 'left, from events (E11)').to.equal(model.left(id))
      expect(model.released(id) <= order.amount, 'E4').to.equal(true)
      expect(books.released(id) + books.refunded(id) + books.left(id), 'E7').to.equal(order.amount)
    }
    // Nothing else ever came in, so that solvent (E1) is: to the last unit.
    expect(await f.token.balanceOf(f.escrow), 'E1').to.equal(model.owed())
  }

  async #order(payer: string, amount: bigint, days: number, single: boolean): Promise<Order> {
    const requestHash = `0x${(single ? '1' : '0').repeat(64)}`
    const order = await makeOrder(this.f, {
      payer,
      amount,
      claimBy: (await now()) + BigInt(days) * DAY,
      job: { requester: this.f.requester.address, requestHash },
    })
    this.#orders.push(order)
    return order
  }

  #id(order: Order): string {
    return orderIdOf(this.f.home, this.f.terms, order)
  }

  #pick(index: number): Order | undefined {
    return this.#orders[index % Math.max(1, this.#orders.length)]
  }

  async #send(sent: Promise<ContractTransactionResponse>): Promise<void> {
    await (await sent).wait()
  }

  async #try(send: () => Promise<ContractTransactionResponse>): Promise<boolean> {
    try {
      await this.#send(send())
      return true
    } catch {
      return false
    }
  }
}

describe('random sequences of calls against a model', () => {
  it('the escrow stays solvent, pays once, conserves, and its books can be rebuilt from events (E1, E4, E5, E7, E11)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
        const f = await loadFixture(deployFixture)
        await f.token.mint(f.stranger, 10n ** 24n)
        await f.token.connect(f.stranger).approve(f.home.escrow, MaxUint256)
        const player = new Player(
          f,
          new EscrowModel({
            node: f.node.address,
            facilitator: f.facilitator.address,
            facilitatorBps: FACILITATOR_BPS,
          }),
        )
        for (const next of steps) {
          await player.play(next)
          await player.check()
        }
      }),
      { numRuns: 40 },
    )
  }).timeout(180_000)
})
