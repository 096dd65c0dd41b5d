import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ethers } from 'hardhat'
import { MaxUint256, ZeroHash, concat, dataSlice, id, toBeHex, zeroPadValue, type BytesLike, type Wallet } from 'ethers'
import type { ExactVerifier } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/ExactVerifier'
import type { HostileWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileWallet'
import type { VoucherReceiptVerifier } from '../../packages/bindings/src/generated/typechain/contracts/verifiers/VoucherReceiptVerifier'
import { signVoucher } from '../support/evidence'
import {
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  makeOrder,
  nodeOnly,
  orderIdOf,
  settleRow,
  settlementEvidence,
  type SettleRow,
} from '../support/fixture'
import {
  Skip,
  allocate,
  allocateTo,
  openRouted,
  plan,
  proofOf,
  routedFixture,
  settleSlices,
  settleSlicesArgs,
  sliceIdOf,
  sliceNode,
  sliceNodes,
  sliceRows,
  sliceDigest,
  type Plan,
  type RoutedFixture,
  type SliceRow,
} from '../support/routed'

const BURNS_GAS = 2
const MAX_UINT96 = 2n ** 96n - 1n

function only<T>(list: readonly T[], index = 0): T {
  const one = list[index]
  if (one === undefined) throw new TypeError(`Nothing at ${String(index)}`)
  return one
}

/** What became of the slices of a call: the reasons of those that were passed over. */
async function reasonsOf(f: RoutedFixture, planned: Plan, rows: readonly SliceRow[]): Promise<bigint[]> {
  const receipt = await (await f.escrow.settleSlices(...settleSlicesArgs(f, planned, rows))).wait()
  const skipped = new Map<string, bigint>()
  for (const log of receipt?.logs ?? []) {
    const event = log.address === f.home.escrow ? f.escrow.interface.parseLog(log) : null
    if (event?.name === 'RowSkipped') skipped.set(String(event.args[0]), BigInt(String(event.args[1])))
  }
  return rows.map(({ index }) => skipped.get(sliceIdOf(planned.allocationId, index)) ?? 0n)
}

describe('attacks on routed orders', () => {
  // Falls when the verifier is asked with all gas that is left.
  it('node whose wallet burns its gas, in front of others: they settle, or the call reverts (F5, E8)', async () => {
    const f = await loadFixture(routedFixture)
    const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS])
    const signers = sliceNodes(3)
    const [, ...honest] = signers.map(({ address }) => ({ node: address, evidenceKey: ZeroHash }))
    const planned = await allocateTo(
      f,
      [{ node: await wallet.getAddress(), evidenceKey: ZeroHash }, ...honest],
      signers,
    )
    const rows = await sliceRows(f, planned, [
      { index: 0, fee: OPG, evidence: '0x1234' },
      { index: 1, fee: OPG },
      { index: 2, fee: OPG },
    ])
    const args = settleSlicesArgs(f, planned, rows)
    await wallet.setMood(BURNS_GAS)
    let [tooLittle, enough] = [0n, 600_000n]
    const tryWith = async (gasLimit: bigint): Promise<boolean> => {
      const settled = await f.escrow.settleSlices.staticCall(...args, { gasLimit }).catch(() => undefined)
      if (settled !== undefined) expect(settled, `with ${String(gasLimit)} gas`).to.equal(2n)
      return settled !== undefined
    }
    expect(await tryWith(enough)).to.equal(true)
    while (enough - tooLittle > 1n) {
      const middle = (tooLittle + enough) / 2n
      if (await tryWith(middle)) enough = middle
      else tooLittle = middle
    }
    for (let gasLimit = 60_000n; gasLimit < enough; gasLimit += 1_500n) await tryWith(gasLimit)
  })

  // Falls when the slice's id is not in what is signed, or leaves out the allocation or the index.
  it("one node's slices, allocations and orders: evidence for one of them settles no other (F3)", async () => {
    const f = await loadFixture(routedFixture)
    const node = sliceNode(0)
    const twice = { cap: OPG, signers: [node, node] }
    const first = await allocate(f, f.order, twice)
    const second = await allocate(f, f.order, twice)
    const other = await openRouted(f)
    const elsewhere = await allocate(f, other.order, { ...twice, series: first.allocation.series })
    const [signed] = await sliceRows(f, first, [{ index: 0, fee: OPG }])
    if (signed === undefined) throw new TypeError('no row')
    expect(await reasonsOf(f, first, [{ ...signed, index: 1 }])).to.deep.equal([Skip.Refused])
    expect(await reasonsOf(f, second, [signed])).to.deep.equal([Skip.Refused])
    expect(await reasonsOf(f, elsewhere, [signed])).to.deep.equal([Skip.Refused])
    expect(await reasonsOf(f, first, [signed])).to.deep.equal([0n])
  })

  // Falls when a routed order can be settled directly.
  it('slice node, or facilitator, settles the order itself with good evidence over its id: refused (F3)', async () => {
    const f = await loadFixture(routedFixture)
    await allocate(f, f.order, { cap: OPG })
    for (const signer of [sliceNode(0), f.facilitator]) {
      const rows: SettleRow[] = [settleRow(f.order, OPG, { close: true })]
      const evidence = await settlementEvidence(f, signer, rows)
      await expect(f.escrow.settle(f.terms, rows, evidence)).to.be.revertedWithCustomError(f.escrow, 'NodeInvalid')
      await expect(f.escrow.settleWithClaim(f.terms, rows, evidence)).to.be.revertedWithCustomError(
        f.escrow,
        'NodeInvalid',
      )
      // Under terms that name the signer the id is another's.
      const terms = { ...f.terms, node: await signer.getAddress() }
      await expect(f.escrow.settle(terms, rows, await settlementEvidence({ ...f, terms }, signer, rows, { terms })))
        .to.emit(f.escrow, 'RowSkipped')
        .withArgs(orderIdOf(f.home, terms, f.order), Skip.Unknown)
    }
  })

  // Falls when a voucher does not name the slice, or the node.
  it("requester's voucher for one slice charged by another node, and on the same node's next slice: refused (F3)", async () => {
    const f = await loadFixture(routedFixture)
    const verifier = await deploy<VoucherReceiptVerifier>('VoucherReceiptVerifier')
    const world = { ...f, terms: { ...f.terms, verifier: await verifier.getAddress() } }
    const { order, orderId } = await openRouted(world)
    const [thief, node] = [sliceNode(0), sliceNode(1)]
    const planned = await allocate(world, order, { cap: OPG, signers: [thief, node, node] })
    const voucherOf = (index: number, of: Wallet, maxCumulativeFee = OPG): Promise<string> =>
      signVoucher(f.home, f.requester, {
        orderId: sliceIdOf(planned.allocationId, index),
        node: of.address,
        maxCumulativeFee,
      })
    const rowWith = async (index: number, voucher: string, fee = OPG): Promise<SliceRow> => {
      const row = only(await sliceRows(world, planned, [{ index, fee }]))
      return { ...row, evidence: concat([row.evidence, voucher]) }
    }
    const asked = { ...world, order, orderId }
    const good = await voucherOf(1, node)
    const attempts = [
      await rowWith(0, good),
      await rowWith(0, await voucherOf(0, node)),
      await rowWith(2, good),
      await rowWith(1, await voucherOf(1, node, OPG - 1n)),
    ]
    for (const row of attempts) expect(await reasonsOf(asked, planned, [row])).to.deep.equal([Skip.Refused])
    expect(await reasonsOf(asked, planned, [await rowWith(1, good)])).to.deep.equal([0n])
  })

  // Falls when a row that is passed over marks its slice.
  it('bystander passes slices over on purpose, starved, overdrawn or unsigned: they settle all the same (E2, E5)', async () => {
    const f = await loadFixture(routedFixture)
    const planned = await allocate(f, f.order, { cap: OPG, count: 2 })
    const rows = await sliceRows(f, planned, [
      { index: 0, fee: OPG },
      { index: 1, fee: OPG / 2n },
    ])
    const bystander = f.escrow.connect(f.stranger)
    await bystander.settleSlices(...settleSlicesArgs(f, planned, rows, { gasPerSlice: 0n }))
    await bystander.settleSlices(...settleSlicesArgs(f, planned, rows, { gasPerSlice: 3_500n }))
    const spoiled = rows.map((row) => ({ ...row, evidence: '0x' }))
    await bystander.settleSlices(...settleSlicesArgs(f, planned, spoiled))
    const overdrawn = rows.map((row) => ({ ...row, fee: MAX_UINT96 }))
    await bystander.settleSlices(...settleSlicesArgs(f, planned, overdrawn))
    expect((await f.escrow.orders(f.orderId)).reserved).to.equal(2n * OPG)
    expect(await reasonsOf(f, planned, rows)).to.deep.equal([0n, 0n])
  })

  // Falls when a closed slice reverts, or changes what the proof has to prove.
  it('block builder puts one node in front of the batch that it is in: the others are paid, and it is paid once (E5, E8)', async () => {
    const f = await loadFixture(routedFixture)
    const planned = await allocate(f, f.order, { cap: OPG, count: 5 })
    const rows = await sliceRows(
      f,
      planned,
      [0, 1, 3, 4].map((index) => ({ index, fee: OPG })),
    )
    await f.escrow.connect(f.stranger).settleSlices(...settleSlicesArgs(f, planned, [only(rows, 1)]))
    expect(await reasonsOf(f, planned, rows)).to.deep.equal([0n, Skip.Closed, 0n, 0n])
    for (const { node } of rows) expect(await f.token.balanceOf(node)).to.equal((OPG * 92n) / 100n)
  })

  // Falls when `release` asks less than that nothing is reserved, or `free` forgets what was released.
  it('facilitator allocates, settles and allocates again round and round: slices never get more than the order (E1, E4)', async () => {
    const f = await loadFixture(routedFixture)
    await openRouted(f) // so that there is somebody else's money
    let left = f.order.amount
    for (const fee of [3n * OPG, 0n, 2n * OPG, 4n * OPG + 1n]) {
      const planned = await allocate(f, f.order, { cap: left, count: 1 })
      await settleSlices(f, planned, [{ index: 0, fee }])
      left -= fee
    }
    const over = plan(f, f.order, { cap: left + 1n, count: 1 })
    const facilitator = f.escrow.connect(f.facilitator)
    await expect(facilitator.allocate(f.terms, f.order, over.allocation, '0x')).to.be.revertedWithCustomError(
      f.escrow,
      'AllocationTooLarge',
    )
    await expect(facilitator.release(f.terms, f.order)).to.changeTokenBalance(f.token, f.payer, left)
    await expect(facilitator.release(f.terms, f.order)).to.be.revertedWithCustomError(f.escrow, 'OrderClosed')
    await time.increaseTo(f.order.claimBy)
    await expect(f.escrow.reclaim(f.terms, f.order)).to.be.revertedWithCustomError(f.escrow, 'OrderClosed')
  })

  // Falls when closing does not look at what slices released, or takes all ones among them for closed.
  it('order of 2^96 - 1 that slices take whole, or all but one unit: nothing is left, or the one (E4, E7)', async () => {
    for (const kept of [0n, 1n]) {
      const f = await loadFixture(routedFixture)
      await f.token.mint(f.payer, MAX_UINT96)
      const terms = { ...nodeOnly(f.terms), facilitator: f.facilitator.address }
      await f.policy.setNetworkBps(0n)
      await f.escrow.syncNetworkBps()
      const world = { ...f, terms }
      const { order, orderId } = await openRouted(world, { amount: MAX_UINT96 })
      const node = sliceNode(0)
      const planned = await allocate(world, order, { cap: MAX_UINT96, signers: [node] })
      await expect(settleSlices(world, planned, [{ index: 0, fee: MAX_UINT96 - kept }])).to.changeTokenBalance(
        f.token,
        node,
        MAX_UINT96 - kept,
      )
      const seen = await f.escrow.orders(orderId)
      expect([seen.released, seen.reserved, seen.closed]).to.deep.equal([MAX_UINT96 - kept, 0n, false])
      if (kept === 0n) {
        const more = plan(world, order, { cap: 1n, count: 1 })
        await expect(
          f.escrow.connect(f.facilitator).allocate(terms, order, more.allocation, '0x'),
        ).to.be.revertedWithCustomError(f.escrow, 'AllocationTooLarge')
      }
      await time.increaseTo(order.claimBy)
      await expect(f.escrow.reclaim(terms, order)).to.changeTokenBalances(f.token, [f.payer, f.escrow], [kept, -kept])
      await expect(f.escrow.reclaim(terms, order)).to.be.revertedWithCustomError(f.escrow, 'OrderClosed')
    }
  })

  // Falls when somebody can speak for the escrow, or for an account that answers everything it is asked.
  for (const [name, address] of [
    ['the escrow', undefined],
    ['the precompile that echoes', toBeHex(4, 20)],
    ['the precompile that recovers', toBeHex(1, 20)],
  ] as const) {
    it(`facilitator is ${name}: nobody allocates or releases, and the payer reclaims (E6, E10)`, async () => {
      const f = await loadFixture(routedFixture)
      const facilitator = address ?? f.home.escrow
      const world = { ...f, terms: { ...f.terms, facilitator, facilitatorBps: 0n } }
      const { order } = await openRouted(world)
      const { allocation } = plan(world, order, { cap: OPG })
      const stranger = f.escrow.connect(f.stranger)
      for (const signature of ['0x', `0x${'00'.repeat(65)}`, concat(['0x1626ba7e', `0x${'00'.repeat(61)}`])]) {
        await expect(stranger.allocate(world.terms, order, allocation, signature)).to.be.revertedWithCustomError(
          f.escrow,
          'NotFacilitator',
        )
      }
      const { interface: face } = f.escrow
      const calls = [
        face.encodeFunctionData('allocate', [world.terms, order, allocation, '0x']),
        face.encodeFunctionData('release', [world.terms, order]),
      ]
      for (const call of calls) {
        await expect(stranger.multicall([call])).to.be.revertedWithCustomError(f.escrow, 'NotFacilitator')
      }
      await time.increaseTo(order.claimBy)
      await expect(stranger.reclaim(world.terms, order)).to.changeTokenBalance(f.token, f.payer, order.amount)
    })
  }

  // Falls when the last word of a question's evidence is not cleaned.
  it('slice with long evidence in front of one with short: the verifier is shown nothing of the first (E3)', async () => {
    const f = await loadFixture(routedFixture)
    const verifier = await deploy<ExactVerifier>('ExactVerifier')
    const world = { ...f, terms: { ...f.terms, verifier: await verifier.getAddress() } }
    const { order, orderId } = await openRouted(world)
    const planned = await allocate(world, order, { cap: OPG, count: 3 })
    const { openedAt } = await f.escrow.orders(orderId)
    const judge = await ethers.getContractAt('IReceiptVerifier', await verifier.getAddress())
    for (const evidence of ['0x', '0xab', `0x${'cd'.repeat(33)}`, `0x${'ef'.repeat(64)}`]) {
      const rows = await sliceRows(world, planned, [
        { index: 0, fee: OPG, evidence: `0x${'ff'.repeat(3_000)}` },
        { index: 1, fee: OPG / 3n, evidence },
      ])
      const asked = only(rows, 1)
      const sliceId = sliceIdOf(planned.allocationId, 1)
      const shown = {
        orderId: sliceId,
        requester: order.job.requester,
        requestHash: ZeroHash,
        amount: OPG,
        released: 0n,
        openedAt,
        cumulativeFee: asked.fee,
        receiptsRoot: asked.receiptsRoot,
        receiptCount: asked.receiptCount,
        close: true,
      }
      const digest = sliceDigest(f.home, sliceId, asked)
      const question = judge.interface.encodeFunctionData('verify', [
        asked.node,
        asked.evidenceKey,
        digest,
        [shown],
        evidence,
      ])
      await verifier.expectQuestion(question)
      const args = settleSlicesArgs(world, planned, rows)
      expect(await f.escrow.settleSlices.staticCall(...args), evidence).to.equal(1n)
      await verifier.expectQuestion(concat([question, '0x00']))
      expect(await f.escrow.settleSlices.staticCall(...args)).to.equal(0n)
    }
  })

  describe('rows whose encoding lies', () => {
    /** Calldata of a call with two rows; its words can be changed by their place behind the selector. */
    async function encoded(f: RoutedFixture): Promise<{ planned: Plan; words: string[]; rowsAt: number }> {
      const planned = await allocate(f, f.order, { cap: OPG, count: 2 })
      const rows = await sliceRows(f, planned, [
        { index: 0, fee: OPG },
        { index: 1, fee: OPG },
      ])
      const data = f.escrow.interface.encodeFunctionData('settleSlices', settleSlicesArgs(f, planned, rows))
      const words = Array.from({ length: (data.length - 10) / 64 }, (_, at) =>
        dataSlice(data, 4 + 32 * at, 36 + 32 * at),
      )
      // Behind six words of terms, six of the order and four of the allocation comes the offset of the rows.
      return { planned, words, rowsAt: Number(only(words, 16)) / 32 }
    }

    function send(f: RoutedFixture, words: readonly BytesLike[]) {
      const selector = f.escrow.interface.getFunction('settleSlices').selector
      return f.stranger.sendTransaction({ to: f.home.escrow, data: concat([selector, ...words]) })
    }

    const changed = (words: readonly string[], at: number, value: bigint): string[] => {
      const copy = [...words]
      copy[at] = toBeHex(BigInt.asUintN(256, value), 32)
      return copy
    }

    // Falls, with the second proof, when the indexes need not rise.
    it('two places that name the same row, with the proof for one or for both: refused (E5)', async () => {
      const f = await loadFixture(routedFixture)
      const { planned, words, rowsAt } = await encoded(f)
      const aliased = changed(words, rowsAt + 2, BigInt(only(words, rowsAt + 1)))
      await expect(send(f, aliased)).to.be.revertedWithCustomError(f.escrow, 'SliceProofInvalid')
      const row = only(await sliceRows(f, planned, [{ index: 0, fee: OPG }]))
      const sibling = only(proofOf(planned, [row]))
      const doubled = settleSlicesArgs(f, planned, [row, row], { proof: [sibling, sibling] })
      await expect(f.escrow.settleSlices(...doubled)).to.be.revertedWithCustomError(f.escrow, 'SliceProofInvalid')
      await expect(send(f, words)).to.changeTokenBalance(f.token, sliceNode(1), (OPG * 92n) / 100n)
    })

    // Falls when a row is read at one place for the proof and at another for the payment.
    it('row before the start of calldata or behind its end, or with more bits than its types have: refused (E3, E4)', async () => {
      const f = await loadFixture(routedFixture)
      const { planned, words, rowsAt } = await encoded(f)
      const base = 32n * BigInt(rowsAt + 1) + 4n
      for (const place of [-base, -base - 32n, -base - 64n, -base + 4n, -(2n ** 255n), 2n ** 255n, MaxUint256 / 2n]) {
        await expect(send(f, changed(words, rowsAt + 1, place)), String(place)).to.be.reverted
      }
      const rowAt = rowsAt + 1 + Number(only(words, rowsAt + 1)) / 32
      for (const [member, bits] of [
        [0, 8n],
        [1, 160n],
        [3, 96n],
        [5, 64n],
      ] as const) {
        const value = BigInt(only(words, rowAt + member))
        for (const dirt of [1n << bits, 1n << 255n]) {
          await expect(send(f, changed(words, rowAt + member, value | dirt)), String(member)).to.be.reverted
        }
      }
      for (const [member, bits] of [
        [13, 8n],
        [14, 96n],
        [15, 64n],
      ] as const) {
        await expect(send(f, changed(words, member, BigInt(only(words, member)) | (1n << bits)))).to.be.reverted
      }
      expect(await f.escrow.unsettledSlices(planned.allocationId)).to.deep.equal([true, 3n])
    })
  })

  // Falls when a pinned key is not asked for, or the facilitator's own key stands in for it.
  it('facilitator names itself as node and as evidence key against a pinned key: it gets nothing (E3, E9)', async () => {
    const f = await loadFixture(routedFixture)
    const evidenceKey = zeroPadValue(f.otherNode.address, 32)
    const world = { ...f, terms: { ...f.terms, evidenceKey } }
    const { order, orderId } = await openRouted(world)
    const asked = { ...world, order, orderId }
    const own = sliceNode(0)
    const signers = [own, own, own]
    const holders = [ZeroHash, zeroPadValue(own.address, 32), evidenceKey].map((key) => ({
      node: own.address,
      evidenceKey: key,
    }))
    const planned = await allocateTo(asked, holders, signers)
    const rows = await sliceRows(
      asked,
      planned,
      [0, 1, 2].map((index) => ({ index, fee: OPG })),
    )
    expect(await reasonsOf(asked, planned, rows)).to.deep.equal([Skip.WrongKey, Skip.WrongKey, Skip.Refused])
    const judged = await sliceRows(asked, planned, [{ index: 2, fee: OPG, signer: f.otherNode }])
    expect(await reasonsOf(asked, planned, judged)).to.deep.equal([0n])
  })

  // Falls when an allocation's id leaves out a member: `id` of a smaller count has a flatter tree.
  it('allocation shown with another count, cap, root or series: nobody allocated that (E3, E4)', async () => {
    const f = await loadFixture(routedFixture)
    const planned = await allocate(f, f.order, { cap: OPG, count: 4 })
    const { allocation } = planned
    const rows = await sliceRows(f, planned, [{ index: 0, fee: OPG }])
    const alone = { ...planned, holders: planned.holders.slice(0, 1) }
    const { root } = plan(f, f.order, { cap: OPG, count: 1 }).allocation
    const lies: Plan[] = [
      { ...planned, allocation: { ...allocation, cap: 2n * OPG } },
      { ...planned, allocation: { ...allocation, series: allocation.series + 1n } },
      { ...planned, allocation: { ...allocation, count: 3 } },
      { ...alone, allocation: { ...allocation, count: 1, root } },
    ]
    for (const lie of lies) {
      const settled = await f.escrow.settleSlices.staticCall(...settleSlicesArgs(f, lie, rows)).catch(() => 0n)
      expect(settled).to.equal(0n)
    }
    expect(await f.escrow.settleSlices.staticCall(...settleSlicesArgs(f, planned, rows))).to.equal(1n)
    const unopened = await makeOrder(f)
    const args = settleSlicesArgs(f, { ...planned, order: unopened }, rows)
    expect(await f.escrow.settleSlices.staticCall(...args)).to.equal(0n)
    expect(id(root)).not.to.equal(id(allocation.root))
  })
})
