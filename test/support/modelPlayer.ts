import { time } from '@nomicfoundation/hardhat-network-helpers'
import { ZeroHash, zeroPadValue, type Overrides } from 'ethers'
import { DAY, now, settleRow, settlementEvidence, signOrder, type Account } from './fixture'
import type { Known } from './model'
import { ModelStage, PINNED_KEY } from './modelStage'
import type { ModelStep } from './modelSteps'
import { allocationIdOf, plan, proofOf, rootOf, signAllocation, sliceNode, sliceRow, type Plan } from './routed'

const GAS: Overrides = { gasLimit: 12_000_000n }
/** The first byte of an order's data, for `HostileFunder`. */
const DELIVERS = '0x00'
const TOO_LITTLE = '0x01'
const REVERTS = '0x05'
const GAS_PER_ORDER = 200_000n
const GAS_PER_SLICE = 100_000n

/** Plays steps against the contract and the model alike. */
export class ModelPlayer extends ModelStage {
  #series = 0n

  async play(step: ModelStep): Promise<void> {
    const { f, model } = this
    switch (step.kind) {
      case 'open':
      case 'openFunded':
      case 'openVia':
        return this.#open(step)
      case 'openBatch':
      case 'openBatchVia':
        return this.#openBatch(step)
      case 'settle':
      case 'settleWithClaim':
        return this.#settle(step)
      case 'allocate':
        return this.#allocate(step)
      case 'allocateAgain': {
        const made = this.plans[step.pick % Math.max(1, this.plans.length)]
        if (made === undefined) return
        const { known, planned } = made
        const given = { ...planned, agreed: false }
        return this.call(
          () => f.escrow.connect(f.stranger).allocate(known.terms, known.order, planned.allocation, '0x', GAS),
          (at) => {
            model.allocate(known, given, at)
          },
        )
      }
      case 'settleSlices':
        return this.#settleSlices(step)
      case 'release': {
        const known = this.pick(step.pick)
        if (known === undefined) return
        const entitled = [f.node, f.otherNode, f.facilitator].find(
          ({ address }) => address === (BigInt(known.terms.node) === 0n ? known.terms.facilitator : known.terms.node),
        )
        const caller = step.right ? (entitled ?? f.node) : f.payer
        return this.call(
          () => f.escrow.connect(caller).release(known.terms, known.order, GAS),
          () => {
            model.release(known, caller.address)
          },
        )
      }
      case 'reclaim': {
        const known = this.pick(step.pick)
        if (known === undefined) return
        return this.call(
          () => f.escrow.connect(f.stranger).reclaim(known.terms, known.order, GAS),
          (at) => {
            model.reclaim(known, at)
          },
        )
      }
      case 'reopen': {
        const known = this.pick(step.pick)
        if (known === undefined) return
        // Of those that could not be opened, none is among the picked: known orders never open again (E5).
        return this.call(
          () => f.escrow.connect(f.stranger).openFunded(known.terms, known.order, GAS),
          (at) => {
            model.open(known, f.stranger.address, at)
          },
        )
      }
      case 'claim':
      case 'claimTo': {
        const accounts = this.accounts()
        const account = accounts[step.who % accounts.length] ?? f.node.address
        if (step.kind === 'claim')
          return this.call(
            () => f.escrow.connect(f.stranger).claim(account, GAS),
            () => {
              model.books.payOut(account, account)
            },
          )
        const signers = [f.node, f.otherNode, f.facilitator, f.payer]
        const caller = signers[step.who % signers.length] ?? f.node
        const to = accounts[step.to % accounts.length] ?? f.node.address
        return this.call(
          () => f.escrow.connect(caller).claimTo(to, GAS),
          () => {
            model.books.payOut(caller.address, to)
          },
        )
      }
      case 'collectNetwork': {
        const accounts = this.accounts()
        const nodes = step.nodes.map((who) => accounts[who % accounts.length] ?? f.node.address)
        return this.call(
          () => f.escrow.connect(f.stranger).collectNetwork(nodes, GAS),
          () => {
            model.books.collect(nodes)
          },
        )
      }
      case 'claimRoyalty':
        return this.call(
          () => f.escrow.claimRoyalty(f.modelId, f.modelOwner, GAS),
          () => {
            model.claimRoyalty(f.modelId)
          },
        )
      case 'claimNetwork':
        return this.call(
          () => f.escrow.claimNetwork(f.network, GAS),
          () => {
            model.claimNetwork()
          },
        )
      case 'sync': {
        const bps = await f.policy.networkBps()
        return this.call(
          () => f.escrow.connect(f.stranger).syncNetworkBps(GAS),
          () => {
            model.sync(bps)
          },
        )
      }
      case 'wait':
        await time.increase(BigInt(step.days) * DAY)
        return
      case 'waitFor': {
        const known = this.pick(step.pick)
        // The next call is mined a second later: so it comes at claimBy - 1, at claimBy, or a second after.
        const target = known === undefined ? 0n : known.order.claimBy + BigInt(step.offset) - 1n
        if (target > (await now())) await time.increaseTo(target)
        return
      }
      case 'reprice':
        await (await f.policy.setNetworkBps(step.networkBps)).wait()
        await (await f.registry.connect(f.modelOwner).setRoyaltyBps(f.modelId, step.royaltyBps)).wait()
        model.royaltyBps = BigInt(step.royaltyBps)
        return
      case 'refuse': {
        const accounts = this.accounts()
        const refused = accounts[step.who] ?? f.home.token // beyond the last: nobody
        await (await f.token.setMood(2, refused)).wait()
        model.books.refused = refused
        return
      }
    }
  }
  async #open(step: Extract<ModelStep, { kind: 'open' | 'openFunded' | 'openVia' }>): Promise<void> {
    const { f, model } = this
    const { signer, known } = await this.newOrder(step)
    const { terms, order } = known
    const signed = await signOrder(f, signer, order, { terms })
    const from = { open: order.payer, openFunded: f.stranger.address, openVia: this.funderAddress }[step.kind]
    return this.call(
      () => {
        if (step.kind === 'open') return f.escrow.open(terms, signed, GAS)
        if (step.kind === 'openFunded') return f.escrow.connect(f.stranger).openFunded(terms, order, GAS)
        return f.escrow.openVia(this.funderAddress, terms, { order, data: DELIVERS }, GAS)
      },
      (at) => {
        model.open(known, from, at)
      },
    )
  }

  async #openBatch(step: Extract<ModelStep, { kind: 'openBatch' | 'openBatchVia' }>): Promise<void> {
    const { f, model } = this
    const batch: { known: Known; signer: Account; fails: boolean }[] = []
    for (const { again, fails, ...given } of step.orders) {
      const last = batch.at(-1)
      const made = again && last !== undefined ? last : await this.newOrder({ ...step, ...given, payer: 0 })
      batch.push({ ...made, fails })
    }
    const terms = this.terms[step.terms]
    if (step.kind === 'openBatch') {
      const signed = await Promise.all(
        batch.map(({ known, signer, fails }) => signOrder(f, fails ? f.stranger : signer, known.order, { terms })),
      )
      return this.call(
        () => f.escrow.openBatch(terms, signed, GAS_PER_ORDER, GAS),
        (at) => {
          model.openBatch(
            batch.map(({ known, fails }) => ({
              known,
              from: known.order.payer,
              delivered: fails ? undefined : known.order.amount,
            })),
            at,
          )
        },
      )
    }
    const funded = batch.map(({ known, fails }, i) => ({
      order: known.order,
      data: fails ? REVERTS : step.short && i === 0 ? TOO_LITTLE : DELIVERS,
    }))
    return this.call(
      () => f.escrow.openBatchVia(this.funderAddress, terms, funded, GAS_PER_ORDER, GAS),
      (at) => {
        model.openBatch(
          batch.map(({ known }, i) => {
            const { data } = funded[i] ?? { data: REVERTS }
            const { amount } = known.order
            const delivered = data === REVERTS ? undefined : data === TOO_LITTLE ? amount - 1n : amount
            return { known, from: this.funderAddress, delivered }
          }),
          at,
        )
      },
    )
  }

  async #settle(step: Extract<ModelStep, { kind: 'settle' | 'settleWithClaim' }>): Promise<void> {
    const { f, model } = this
    const terms = this.terms[step.terms]
    const rows = step.rows.flatMap(({ pick, stray, permille, close, receiptCount }) => {
      const known = this.pick(pick, (one) => stray || one.terms === terms)
      if (known === undefined) return []
      return [settleRow(known.order, (known.order.amount * BigInt(permille)) / 1_000n, { close, receiptCount })]
    })
    const signer = !step.signed ? f.stranger : step.terms === 'alone' ? f.otherNode : f.node
    const evidence = await settlementEvidence(f, signer, rows, { terms })
    const claim = step.kind === 'settleWithClaim'
    return this.call(
      () =>
        claim ? f.escrow.settleWithClaim(terms, rows, evidence, GAS) : f.escrow.settle(terms, rows, evidence, GAS),
      (at) => {
        model.settle(
          terms,
          rows.map((row) => ({ ...row, id: this.id(terms, row.order) })),
          { now: at, signed: step.signed, claim },
        )
      },
    )
  }

  async #allocate(step: Extract<ModelStep, { kind: 'allocate' }>): Promise<void> {
    const { f, model } = this
    const known = this.pick(step.pick, ({ terms }) => step.stray || BigInt(terms.node) === 0n)
    if (known === undefined) return
    const { terms, order, id } = known
    const pinned = zeroPadValue(PINNED_KEY.address, 32)
    const holders = step.holders.map((holder) => ({
      node: holder.node === 5 ? f.home.escrow : sliceNode(holder.node).address,
      evidenceKey: holder.pinned ? pinned : ZeroHash,
    }))
    const signers = step.holders.map((holder) => (holder.pinned ? PINNED_KEY : sliceNode(holder.node)))
    const cap = (model.free(id) * BigInt(step.permille)) / 1_000n / BigInt(holders.length)
    const world = { home: f.home, terms }
    const allocation = {
      ...plan(world, order, { cap, signers, series: this.#series++ }).allocation,
      root: rootOf(holders),
    }
    const allocationId = allocationIdOf(id, allocation)
    const planned: Plan = { order, orderId: id, allocation, allocationId, holders, signers }
    this.plans.push({ known, planned })
    const caller = step.by === 'facilitator' ? f.facilitator : f.stranger
    const signature = await signAllocation(f, step.by === 'relayed' ? f.facilitator : f.stranger, planned)
    return this.call(
      () => f.escrow.connect(caller).allocate(terms, order, allocation, signature, GAS),
      (at) => {
        model.allocate(known, { allocation, allocationId, agreed: step.by !== 'stranger' }, at)
      },
    )
  }

  async #settleSlices(step: Extract<ModelStep, { kind: 'settleSlices' }>): Promise<void> {
    const { f, model } = this
    const routed = this.plans.filter(({ known }) => BigInt(known.terms.node) === 0n)
    const made = routed.filter(({ planned }) => step.stray || model.unsettled(planned.allocationId) !== undefined)
    const one = made[step.pick % Math.max(1, made.length)]
    if (one === undefined) return
    const { known, planned } = one
    const { terms, order } = known
    const slices = step.slices
      .filter(({ index }) => index < planned.holders.length)
      .sort((a, b) => a.index - b.index)
      .map((slice) => ({ ...slice, fee: (planned.allocation.cap * BigInt(slice.permille)) / 1_000n }))
    const rows = await Promise.all(
      slices.map(({ index, fee, signed }) =>
        sliceRow(f, planned, { index, fee, ...(signed ? {} : { signer: f.stranger }) }),
      ),
    )
    const proof = proofOf(planned, rows)
    if (!step.proven) proof.push(ZeroHash)
    return this.call(
      () => f.escrow.settleSlices(terms, order, planned.allocation, rows, proof, GAS_PER_SLICE, GAS),
      (at) => {
        const given = { ...planned, proven: step.proven }
        model.settleSlices(
          known,
          given,
          rows.map((row, i) => ({ ...row, signed: slices[i]?.signed === true })),
          at,
        )
      },
    )
  }
}
