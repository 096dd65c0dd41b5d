import { time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { Wallet, ZeroHash, id, zeroPadValue, type ContractTransactionResponse, type Interface, type Log } from 'ethers'
import type { HostileFunder } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileFunder'
import type { HostileToken } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileToken'
import { BookKeeper } from './books'
import { DAY, makeOrder, now, orderIdOf, type Account, type Order, type Terms, type deployAround } from './fixture'
import type { EscrowModel, Known } from './model'
import { TOKEN_REFUSES, eventLine, type Outcome } from './modelBooks'
import type { OrderGiven, TermsName } from './modelSteps'
import { sliceNode, type Plan } from './routed'

export type ModelWorld = Awaited<ReturnType<typeof deployAround>> & {
  readonly token: HostileToken
  readonly funder: HostileFunder
}

export const PINNED_KEY = new Wallet(id('pinned key'))
/** A view with its arguments, and its answer by the model, and from events where they alone tell it (E11). */
type Expected = readonly [string, readonly string[], string | bigint, bigint?]

/** The contract and the model side by side: calls one as the other predicts, and compares all that they hold. */
export class ModelStage {
  protected readonly orders: Known[] = []
  protected readonly plans: { readonly known: Known; readonly planned: Plan }[] = []
  protected readonly terms: Readonly<Record<TermsName, Terms>>
  readonly #keeper: BookKeeper
  readonly #startBalances = new Map<string, bigint>()
  #checks = 0

  constructor(
    protected readonly f: ModelWorld,
    protected readonly model: EscrowModel,
    protected readonly funderAddress: string,
  ) {
    const routed = { ...f.terms, node: '0x0000000000000000000000000000000000000000' }
    this.terms = {
      shared: f.terms,
      alone: { ...f.terms, node: f.otherNode.address, facilitator: routed.node, facilitatorBps: 0n, modelId: ZeroHash },
      routed,
      pinned: { ...routed, facilitatorBps: 0n, evidenceKey: zeroPadValue(PINNED_KEY.address, 32) },
    }
    this.#keeper = new BookKeeper(f.escrow)
  }

  /** What happened before the first step. */
  async start(logs: readonly Log[]): Promise<void> {
    this.#keeper.read(logs)
    for (const account of this.accounts()) this.#startBalances.set(account, await this.f.token.balanceOf(account))
  }
  /** E1, E4, E5, E7 and E11, after every call. */
  async check(): Promise<void> {
    const { f, model } = this
    const abi: Interface = f.escrow.interface
    const books = this.#keeper.books()
    const accounts = this.accounts()
    const ids = this.orders.map((known) => known.id)
    const allocations = this.plans.map(({ planned }) => planned.allocationId)
    const expected: Expected[] = [
      ...accounts.flatMap((account): Expected[] => [
        ['credits', [account], model.books.credits.get(account) ?? 0n, books.credit(account)],
        ['networkCreditWith', [account], model.books.networkWith.get(account) ?? 0n, books.networkWith(account)],
      ]),
      ['royalties', [f.modelId], model.books.royalties.get(f.modelId) ?? 0n, books.royalty(f.modelId)],
      ['networkCredit', [], model.books.network, books.network],
      ['networkBps', [], model.books.networkBps, books.networkBps],
      ...ids.map((id): Expected => ['orders', [id], model.view(id).join()]),
      ...allocations.map((id): Expected => [
        'unsettledSlices',
        [id],
        [model.unsettled(id) !== undefined, model.unsettled(id) ?? 0n].join(),
      ]),
    ]
    const calls = expected.map(([name, args]) => abi.encodeFunctionData(name, args))
    const answers = await f.escrow.multicall.staticCall(calls)
    for (const [i, [name, args, byModel, byEvents]] of expected.entries()) {
      const answer = abi.decodeFunctionResult(name, answers[i] ?? '0x')
      const found = name === 'orders' ? [...(answer[0] as readonly unknown[])].join() : [...answer].join()
      expect(found, `${name}(${args.join()})`).to.equal(String(byModel))
      if (byEvents !== undefined) expect(found, `${name}(${args.join()}) from events (E11)`).to.equal(String(byEvents))
    }
    for (const { id, order } of this.orders) {
      if (model.view(id)[0] === 0n) continue
      expect(books.left(id), 'left, from events (E11)').to.equal(model.left(id))
      expect(books.released(id), 'released, from events (E11)').to.equal(model.released(id))
      expect(books.reserved(id), 'reserved, from events (E11)').to.equal(model.view(id)[2])
      expect(model.released(id) <= order.amount, 'E4').to.equal(true)
      expect(books.released(id) + books.refunded(id) + books.left(id), 'E7').to.equal(order.amount)
    }
    for (const id of allocations) expect(books.unsettled(id), 'slices, from events').to.equal(model.unsettled(id) ?? 0n)
    // Wallets one by one are the dearest to ask for, and the events of every call were compared.
    for (const account of this.#checks++ % 6 === 0 ? accounts : []) {
      const change = (await f.token.balanceOf(account)) - (this.#startBalances.get(account) ?? 0n)
      expect(change, `wallet of ${account}`).to.equal(model.books.wallets.get(account) ?? 0n)
    }
    // Nothing else ever came in, so that solvent (E1) is: to the last unit.
    expect(await f.token.balanceOf(f.escrow), 'E1').to.equal(model.owed())
  }
  /** Makes a call at the next second, and expects the events, or the error, that the model predicts for it. */
  protected async call(send: () => Promise<ContractTransactionResponse>, predict: (at: bigint) => void): Promise<void> {
    const at = (await now()) + 1n
    await time.setNextBlockTimestamp(at)
    const predicted = this.model.run(() => {
      predict(at)
    })
    expect(await this.#outcome(send)).to.deep.equal(predicted)
  }

  async #outcome(send: () => Promise<ContractTransactionResponse>): Promise<Outcome> {
    const { escrow } = this.f
    let sent: ContractTransactionResponse
    try {
      sent = await send()
    } catch (error) {
      const message = String(error)
      // Hardhat names errors of code that it compiled itself, and shows the data of others.
      const data = /return data: (0x[0-9a-f]+)/.exec(message)?.[1]
      const unnamed = data === undefined ? undefined : escrow.interface.parseError(data)?.name
      const name = /custom error '(\w+)\(/.exec(message)?.[1] ?? unnamed
      if (name !== undefined) return { error: name }
      if (/reverted without a reason/.test(message)) return { error: TOKEN_REFUSES }
      throw error
    }
    const receipt = await sent.wait()
    const logs = (receipt?.logs ?? []).filter(({ address }) => address === this.f.home.escrow)
    this.#keeper.read(logs)
    const events = logs.map((log) => {
      const event = escrow.interface.parseLog(log)
      return event === null ? 'unknown' : eventLine(event.name, [...event.args])
    })
    return { events }
  }

  protected async newOrder(given: OrderGiven): Promise<{ known: Known; signer: Account }> {
    const { f } = this
    const signer = given.payer === 0 ? f.payer : f.otherPayer
    const terms = this.terms[given.terms]
    const order = await makeOrder(f, {
      payer: signer.address,
      amount: given.amount,
      claimBy: (await now()) + BigInt(given.days) * DAY,
      job: { requester: f.requester.address, requestHash: given.single ? id('request') : ZeroHash },
    })
    const known = { terms, order, id: this.id(terms, order) }
    this.orders.push(known)
    return { known, signer }
  }

  protected id(terms: Terms, order: Order): string {
    return orderIdOf(this.f.home, terms, order)
  }

  protected pick(index: number, suits: (known: Known) => boolean = () => true): Known | undefined {
    const among = this.orders.filter(suits)
    return among[index % Math.max(1, among.length)]
  }

  /** Everyone who can come to have a credit or tokens. */
  protected accounts(): string[] {
    const { f } = this
    const named = [f.node, f.otherNode, f.facilitator, f.payer, f.otherPayer, f.stranger, f.modelOwner, f.network]
    const slicers = Array.from({ length: 5 }, (_, index) => sliceNode(index))
    return [...named, ...slicers].map(({ address }) => address).concat(this.funderAddress)
  }
}
