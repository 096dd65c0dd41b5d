import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroHash, id, toBeHex } from 'ethers'
import type { ExactVerifier } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/ExactVerifier'
import type { HostileVerifier } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileVerifier'
import type { HostileWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileWallet'
import { OPG, PERMIT2_ADDRESS, deploy, now } from '../support/fixture'
import {
  GAS_PER_SLICE,
  Skip,
  allocate,
  allocateTo,
  openRouted,
  routedFixture,
  settleSlices,
  settleSlicesArgs,
  sliceDigest,
  sliceIdOf,
  sliceNodes,
  sliceRow,
  sliceRows,
} from '../support/routed'

const Mood = {
  Refuses: 1,
  Reverts: 2,
  ShortAnswer: 3,
  DirtyAnswer: 4,
  Empty: 5,
  ReturnBomb: 6,
  RevertBomb: 7,
  BurnsGas: 8,
  CallsBack: 9,
  Writes: 10,
} as const
const WalletMood = {
  Signs: 0,
  Refuses: 1,
  BurnsGas: 2,
  ReturnBomb: 3,
  RevertBomb: 4,
  ShortAnswer: 5,
  DirtyAnswer: 6,
} as const

async function hostileVerifierFixture() {
  const f = await routedFixture()
  const hostile = await deploy<HostileVerifier>('HostileVerifier')
  const world = { ...f, hostile, terms: { ...f.terms, verifier: await hostile.getAddress() } }
  const opened = await openRouted(world)
  return { ...world, ...opened, planned: await allocate(world, opened.order, { cap: OPG }) }
}

/** Three slices, the one in the middle held by a wallet of code. */
async function hostileNodeFixture() {
  const f = await routedFixture()
  const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS])
  const signers = sliceNodes(3)
  const holders = signers.map(({ address }) => ({ node: address, evidenceKey: ZeroHash }))
  holders[1] = { node: await wallet.getAddress(), evidenceKey: ZeroHash }
  const planned = await allocateTo(f, holders, signers)
  const rows = await sliceRows(f, planned, [
    { index: 0, fee: OPG },
    { index: 1, fee: OPG, evidence: '0x1234' },
    { index: 2, fee: OPG },
  ])
  return { ...f, wallet, planned, rows }
}

describe('attacks on slices by verifiers and wallets', () => {
  for (const mood of [
    'Refuses',
    'Reverts',
    'ShortAnswer',
    'DirtyAnswer',
    'Empty',
    'RevertBomb',
    'BurnsGas',
    'Writes',
  ] as const) {
    it(`verifier answers with rubbish (${mood}): no slice is settled (E3)`, async () => {
      const f = await loadFixture(hostileVerifierFixture)
      await f.hostile.setMood(Mood[mood])
      const rows = await sliceRows(
        f,
        f.planned,
        [0, 1, 2].map((index) => ({ index, fee: OPG, evidence: '0x' })),
      )
      const args = settleSlicesArgs(f, f.planned, rows)
      expect(await f.escrow.settleSlices.staticCall(...args)).to.equal(0n)
      const sent = f.escrow.settleSlices(...args)
      await expect(sent).to.emit(f.escrow, 'RowSkipped').withArgs(sliceIdOf(f.planned.allocationId, 2), Skip.Refused)
      await expect(sent).to.changeTokenBalance(f.token, f.escrow, 0n)
      expect((await f.escrow.orders(f.orderId)).reserved).to.equal(3n * OPG)
    })
  }

  it('return bomb from a verifier that accepts: only one word of it is read', async () => {
    const f = await loadFixture(hostileVerifierFixture)
    const rows = await sliceRows(f, f.planned, [{ index: 0, fee: OPG, evidence: '0x' }])
    const args = settleSlicesArgs(f, f.planned, rows)
    const plain = await f.escrow.settleSlices.estimateGas(...args)
    await f.hostile.setMood(Mood.ReturnBomb)
    // The verifier pays 28,000 for its 100,000 bytes; copying them would cost the escrow as much again, and more.
    expect((await f.escrow.settleSlices.estimateGas(...args)) - plain).to.be.lessThan(40_000n)
    expect(await f.escrow.settleSlices.staticCall(...args)).to.equal(1n)
  })

  for (const name of ['settleSlices', 'allocate', 'release', 'claim', 'multicall'] as const) {
    it(`re-entrant verifier calls ${name}: it cannot change anything`, async () => {
      const f = await loadFixture(hostileVerifierFixture)
      const rows = await sliceRows(f, f.planned, [{ index: 0, fee: OPG, evidence: '0x' }])
      const args = settleSlicesArgs(f, f.planned, rows)
      const encode = f.escrow.interface
      const settle = encode.encodeFunctionData('settleSlices', args)
      const data = {
        settleSlices: settle,
        allocate: encode.encodeFunctionData('allocate', [f.terms, f.order, f.planned.allocation, '0x']),
        release: encode.encodeFunctionData('release', [f.terms, f.order]),
        claim: encode.encodeFunctionData('claim', [f.facilitator.address]),
        multicall: encode.encodeFunctionData('multicall', [[settle]]),
      }[name]
      await f.hostile.setCallback(f.home.escrow, data)
      await f.hostile.setMood(Mood.CallsBack)
      expect(await f.escrow.settleSlices.staticCall(...args)).to.equal(0n)
    })
  }

  for (const mood of ['Refuses', 'BurnsGas', 'ReturnBomb', 'RevertBomb', 'ShortAnswer', 'DirtyAnswer'] as const) {
    it(`wallet of one slice's node answers with ${mood}: the others are paid, and it costs no more than its gas (E8)`, async () => {
      const f = await loadFixture(hostileNodeFixture)
      const args = settleSlicesArgs(f, f.planned, f.rows)
      const calm = await f.escrow.settleSlices.estimateGas(...args)
      await f.wallet.setMood(WalletMood[mood])
      // A flood of memory that ends in the right word is still a signature, if its gas pays for it.
      const accepted = mood === 'ReturnBomb'
      const sent = f.escrow.settleSlices(...args)
      await expect(sent).to.changeTokenBalances(
        f.token,
        f.rows.map(({ node }) => node),
        [0, 1, 2].map((index) => (index !== 1 || accepted ? (OPG * 92n) / 100n : 0n)),
      )
      const { bitmap } = await f.escrow.unsettledSlices(f.planned.allocationId)
      expect(bitmap).to.equal(accepted ? 0n : 0b10n)
      expect((await (await sent).wait())?.gasUsed ?? calm * 9n).to.be.lessThan(calm + GAS_PER_SLICE)
    })
  }

  it('relayer starves a verifier, or names too little gas: the slice is passed over, holds its money, and settles later (E2)', async () => {
    const f = await loadFixture(routedFixture)
    const planned = await allocate(f, f.order, { cap: OPG })
    const rows = await sliceRows(f, planned, [{ index: 0, fee: OPG }])
    const relayed = f.escrow.connect(f.stranger)
    for (const gasPerSlice of [0n, 1n, 3_000n]) {
      await expect(relayed.settleSlices(...settleSlicesArgs(f, planned, rows, { gasPerSlice })))
        .to.emit(f.escrow, 'RowSkipped')
        .withArgs(sliceIdOf(planned.allocationId, 0), Skip.Refused)
    }
    expect((await f.escrow.orders(f.orderId)).reserved).to.equal(3n * OPG)
    await expect(relayed.settleSlices(...settleSlicesArgs(f, planned, rows))).to.emit(f.escrow, 'SliceSettled')
  })

  it('relayer starves the payouts of gas: a slice is paid or not settled, and none turns into a credit (F14, E8)', async () => {
    const f = await loadFixture(routedFixture)
    const planned = await allocate(f, f.order, { cap: OPG })
    const rows = await sliceRows(
      f,
      planned,
      [0, 1, 2].map((index) => ({ index, fee: OPG })),
    )
    const args = settleSlicesArgs(f, planned, rows)
    const data = f.escrow.interface.encodeFunctionData('settleSlices', args)
    const to = f.home.escrow
    const ample = await f.escrow.settleSlices.estimateGas(...args)
    let reverted = 0
    const outcomes = new Set<bigint>()
    for (let gasLimit = ample + 5_000n; gasLimit > 60_000n; gasLimit -= 1_511n) {
      const answer = await f.stranger.call({ to, data, gasLimit }).catch(() => undefined)
      if (answer === undefined) {
        reverted++
        continue
      }
      outcomes.add(BigInt(answer))
      const { provider } = f.stranger
      const snapshot: unknown = await provider.send('evm_snapshot', [])
      const sent = await f.stranger.sendTransaction({ to, data, gasLimit })
      await expect(sent).not.to.emit(f.escrow, 'TransferCredited')
      let paid = 0n
      for (const { node } of rows) paid += await f.token.balanceOf(node)
      expect(paid).to.equal((BigInt(answer) * OPG * 92n) / 100n)
      await provider.send('evm_revert', [snapshot])
    }
    expect(reverted).to.be.greaterThan(0)
    expect(outcomes.has(3n)).to.equal(true)
  })

  describe('what a verifier is shown', () => {
    for (const evidence of ['0x', '0xab', toBeHex(1, 31), toBeHex(1, 32), toBeHex(1, 33), toBeHex(1, 700)]) {
      it(`a slice as an order of its cap, never settled, closed by this; and ${String((evidence.length - 2) / 2)} bytes of evidence`, async () => {
        const base = await loadFixture(routedFixture)
        const verifier = await deploy<ExactVerifier>('ExactVerifier')
        const world = { ...base, terms: { ...base.terms, verifier: await verifier.getAddress() } }
        const { order } = await openRouted(world)
        const openedAt = await now()
        const f = { ...world, order }
        const signers = sliceNodes(3)
        const holders = signers.map(({ address }, i) => ({
          node: address,
          evidenceKey: i === 1 ? id('key') : ZeroHash,
        }))
        const planned = await allocateTo(f, holders, signers)
        // Released before, from the order's state, is none of a slice's business.
        await verifier.expectQuestion(await questionOf(0, { fee: 5n }))
        await settleSlices(f, planned, [{ index: 0, fee: 5n, evidence }])
        expect((await f.escrow.unsettledSlices(planned.allocationId)).bitmap).to.equal(0b110n)

        // The last of several: what was asked before has left nothing behind in memory.
        await verifier.expectQuestion(await questionOf(2, { fee: OPG, receiptCount: 2n ** 64n - 1n }))
        const rows = [
          await sliceRow(f, planned, { index: 1, fee: OPG, evidence: `0x${'ff'.repeat(900)}` }),
          await sliceRow(f, planned, { index: 2, fee: OPG, receiptCount: 2n ** 64n - 1n, evidence }),
        ]
        await f.escrow.settleSlices(...settleSlicesArgs(f, planned, rows, { gasPerSlice: 300_000n }))
        expect((await f.escrow.unsettledSlices(planned.allocationId)).bitmap).to.equal(0b010n)

        async function questionOf(index: number, given: { fee: bigint; receiptCount?: bigint }): Promise<string> {
          const sliceId = sliceIdOf(planned.allocationId, index)
          const row = await sliceRow(f, planned, { index, evidence, ...given })
          const seen = {
            orderId: sliceId,
            requester: order.job.requester,
            requestHash: ZeroHash,
            amount: OPG,
            released: 0n,
            openedAt,
            cumulativeFee: row.fee,
            receiptsRoot: row.receiptsRoot,
            receiptCount: row.receiptCount,
            close: true,
          }
          return verifier.interface.encodeFunctionData('verify', [
            row.node,
            row.evidenceKey,
            sliceDigest(f.home, sliceId, row),
            [seen],
            evidence,
          ])
        }
      })
    }
  })
})
