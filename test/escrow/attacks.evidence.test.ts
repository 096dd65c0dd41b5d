import { loadFixture, setCode, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { Signature, concat, toBeHex } from 'ethers'
import type { HostileFeePolicy } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileFeePolicy'
import type { HostileModelRegistry } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileModelRegistry'
import type { HostileVerifier } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileVerifier'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'
import {
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployFixture,
  makeOrder,
  openOrder,
  orderIdOf,
  settleRow,
  settleRows,
  settlementEvidence,
  signOrder,
} from '../support/fixture'

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

const Mood = {
  Accepts: 0,
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

async function hostileVerifierFixture() {
  const f = await deployFixture()
  const hostile = await deploy<HostileVerifier>('HostileVerifier')
  const terms = { ...f.terms, verifier: await hostile.getAddress() }
  const { order, orderId } = await openOrder(f, {}, { terms })
  return { ...f, hostile, terms, order, orderId }
}

describe('attacks by verifiers and with evidence', () => {
  for (const mood of ['Refuses', 'Reverts', 'ShortAnswer', 'DirtyAnswer', 'Empty', 'RevertBomb', 'Writes'] as const) {
    it(`verifier answers with rubbish (${mood}): nothing is released (E3)`, async () => {
      const f = await loadFixture(hostileVerifierFixture)
      await f.hostile.setMood(Mood[mood])
      await expect(f.escrow.settle(f.terms, [settleRow(f.order, OPG)], '0x')).to.be.revertedWithCustomError(
        f.escrow,
        'EvidenceRefused',
      )
      expect((await f.escrow.orders(f.orderId)).released).to.equal(0n)
    })
  }

  it('verifier answers a byte short, and that byte lies in memory as the escrow left it: nothing is released (E3)', async () => {
    const f = await loadFixture(hostileVerifierFixture)
    // An order id that ends in zero is the leftover that would complete the answer.
    let order = await makeOrder(f)
    while (!orderIdOf(f.home, f.terms, order).endsWith('00')) order = { ...order, nonce: order.nonce + 1_000n }
    await f.escrow.open(f.terms, await signOrder(f, f.payer, order))
    await f.hostile.setMood(Mood.ShortAnswer)
    await expect(f.escrow.settle(f.terms, [settleRow(order, OPG)], '0x')).to.be.revertedWithCustomError(
      f.escrow,
      'EvidenceRefused',
    )
  })

  it('return bomb from a verifier that accepts: only one word of it is read', async () => {
    const f = await loadFixture(hostileVerifierFixture)
    await f.escrow.settle(f.terms, [settleRow(f.order, OPG)], '0x')
    const plain = await f.escrow.settle.estimateGas(f.terms, [settleRow(f.order, 2n * OPG)], '0x')
    await f.hostile.setMood(Mood.ReturnBomb)
    const bombed = await f.escrow.settle.estimateGas(f.terms, [settleRow(f.order, 2n * OPG)], '0x')
    // The verifier pays 28,000 for its 100,000 bytes; copying them would cost the escrow as much again, and more.
    expect(bombed - plain).to.be.lessThan(40_000n)
    expect(await f.escrow.settle.staticCall(f.terms, [settleRow(f.order, 2n * OPG)], '0x')).to.equal(1n)
  })

  it('verifier burns all its gas: its own orders wait for claimBy, others settle (E6, E8)', async () => {
    const f = await loadFixture(hostileVerifierFixture)
    await f.hostile.setMood(Mood.BurnsGas)
    await expect(
      f.escrow.settle(f.terms, [settleRow(f.order, OPG)], '0x', { gasLimit: 3_000_000n }),
    ).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
    const honest = { ...f.terms, verifier: await f.verifier.getAddress() }
    const { order } = await openOrder(f, {}, { terms: honest })
    await expect(settleRows(f, [settleRow(order, OPG)], { terms: honest })).to.emit(f.escrow, 'OrderSettled')
    await time.increaseTo(f.order.claimBy)
    await expect(f.escrow.reclaim(f.terms, f.order)).to.changeTokenBalance(f.token, f.payer, f.order.amount)
  })

  for (const name of ['settle', 'settleWithClaim', 'release', 'claim', 'multicall'] as const) {
    it(`re-entrant verifier calls ${name}: it cannot change anything`, async () => {
      const f = await loadFixture(hostileVerifierFixture)
      const rows = [settleRow(f.order, OPG)]
      const settle = f.escrow.interface.encodeFunctionData('settle', [f.terms, rows, '0x'])
      const data = {
        settle,
        settleWithClaim: f.escrow.interface.encodeFunctionData('settleWithClaim', [f.terms, rows, '0x']),
        release: f.escrow.interface.encodeFunctionData('release', [f.terms, f.order]),
        claim: f.escrow.interface.encodeFunctionData('claim', [f.node.address]),
        multicall: f.escrow.interface.encodeFunctionData('multicall', [[settle]]),
      }[name]
      await f.hostile.setCallback(f.home.escrow, data)
      await f.hostile.setMood(Mood.CallsBack)
      await expect(f.escrow.settle(f.terms, rows, '0x')).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
    })
  }

  it('verifier whose code has gone: nothing is released, and the payer gets the rest at claimBy (E3, E6)', async () => {
    const f = await loadFixture(hostileVerifierFixture)
    await setCode(f.terms.verifier, '0x')
    await expect(f.escrow.settle(f.terms, [settleRow(f.order, OPG)], '0x')).to.be.revertedWithCustomError(
      f.escrow,
      'EvidenceRefused',
    )
    await time.increaseTo(f.order.claimBy)
    await expect(f.escrow.reclaim(f.terms, f.order)).to.changeTokenBalance(f.token, f.payer, f.order.amount)
  })

  it('verifier that accepts everything: it reaches no order but those that name it, and pays none but their node (E10)', async () => {
    const f = await loadFixture(hostileVerifierFixture)
    const honest = { ...f.terms, verifier: await f.verifier.getAddress() }
    const victim = await openOrder(f, {}, { terms: honest })
    expect(await f.escrow.settle.staticCall(f.terms, [settleRow(victim.order, OPG)], '0x')).to.equal(0n)
    await expect(f.escrow.settle(honest, [settleRow(victim.order, OPG)], '0x')).to.be.revertedWithCustomError(
      f.escrow,
      'EvidenceRefused',
    )
    const thieving = { ...f.terms, node: f.stranger.address }
    expect(await f.escrow.settle.staticCall(thieving, [settleRow(f.order, OPG)], '0x')).to.equal(0n)
    expect(await f.escrow.settle.staticCall(f.terms, [settleRow(f.order, f.order.amount + 1n)], '0x')).to.equal(0n)
  })

  it('no evidence, no release: the payer, the node or a stranger with an empty hand (E3)', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    for (const caller of [f.payer, f.node, f.stranger]) {
      await expect(
        f.escrow.connect(caller).settle(f.terms, [settleRow(order, OPG)], '0x'),
      ).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
    }
  })

  it("another escrow's evidence: the same rows, signed for a different escrow or chain, settle nothing (E3)", async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    const rows = [settleRow(order, OPG)]
    const other = { terms: f.terms, home: { ...f.home, escrow: f.home.token } }
    const elsewhere = await settlementEvidence(other, f.node, rows)
    const onOtherChain = await settlementEvidence(f, f.node, rows, { chainId: 1n })
    for (const evidence of [elsewhere, onOtherChain]) {
      await expect(f.escrow.settle(f.terms, rows, evidence)).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
    }
  })

  it("another node's evidence: a node cannot settle orders that name another (E3)", async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    const rows = [settleRow(order, OPG)]
    const evidence = await settlementEvidence(f, f.otherNode, rows, {
      terms: { ...f.terms, node: f.otherNode.address },
    })
    await expect(f.escrow.settle(f.terms, rows, evidence)).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
    expect(await f.escrow.settle.staticCall({ ...f.terms, node: f.otherNode.address }, rows, evidence)).to.equal(0n)
  })

  it('evidence replayed, before and after close: it changes nothing (E5, F6)', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    const first = [settleRow(order, OPG)]
    const last = [settleRow(order, 2n * OPG, { close: true })]
    const evidence = [await settlementEvidence(f, f.node, first), await settlementEvidence(f, f.node, last)] as const
    const replay = async () => {
      expect(await f.escrow.settle.staticCall(f.terms, first, evidence[0])).to.equal(0n)
      await expect(f.escrow.settle(f.terms, first, evidence[0])).not.to.emit(f.escrow, 'OrderSettled')
    }
    await f.escrow.settle(f.terms, first, evidence[0])
    await replay()
    await f.escrow.settle(f.terms, last, evidence[1])
    await replay()
    expect(await f.escrow.settle.staticCall(f.terms, last, evidence[1])).to.equal(0n)
    const paid = (await f.escrow.credits(f.node)) + (await f.escrow.credits(f.facilitator))
    expect(paid).to.equal((2n * OPG * 93n) / 100n)
  })

  it('signature malleability: the twin of used evidence, with high s, settles nothing again (E5)', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    const rows = [settleRow(order, OPG, { close: true })]
    const evidence = await settlementEvidence(f, f.node, rows)
    await f.escrow.settle(f.terms, rows, evidence)
    const { r, s, v } = Signature.from(evidence)
    const twin = concat([r, toBeHex(CURVE_ORDER - BigInt(s), 32), toBeHex(v === 27 ? 28 : 27)])
    expect(await f.escrow.settle.staticCall(f.terms, rows, twin)).to.equal(0n)
  })

  it('older evidence with close held back by a payer: it cannot close the order below what was settled (F6)', async () => {
    const f = await loadFixture(deployFixture)
    const { order, orderId } = await openOrder(f)
    const held = [settleRow(order, OPG, { close: true })]
    const evidence = await settlementEvidence(f, f.node, held)
    await settleRows(f, [settleRow(order, 3n * OPG)])
    await expect(f.escrow.connect(f.payer).settle(f.terms, held, evidence))
      .to.emit(f.escrow, 'RowSkipped')
      .withArgs(orderId, 5n)
    expect((await f.escrow.orders(orderId)).closed).to.equal(false)
  })

  it('duplicate rows in a batch: a fee is credited once (E5)', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    const row = settleRow(order, OPG, { close: true })
    await expect(settleRows(f, [row, row, row])).to.changeTokenBalance(f.token, f.payer, 9n * OPG)
    expect(await f.escrow.credits(f.node)).to.equal((OPG * 92n) / 100n)
  })

  it('model owner and policy that revert: they block neither settling nor the way back (F17, E6)', async () => {
    const f = await loadFixture(deployFixture)
    const policy = await deploy<HostileFeePolicy>('HostileFeePolicy')
    const registry = await deploy<HostileModelRegistry>('HostileModelRegistry')
    const escrow = await deploy<InferenceEscrow>('InferenceEscrow', [f.home.token, PERMIT2_ADDRESS, policy, registry])
    const world = { ...f, escrow, home: { ...f.home, escrow: await escrow.getAddress() } }
    await policy.setNetworkBps(1_000)
    await escrow.syncNetworkBps()
    await registry.setRoyaltyBps(2_000)
    const settled = await openOrder(world)
    const released = await openOrder(world)
    const reclaimed = await openOrder(world)

    await policy.setReverts(true)
    await registry.setReverts(true)
    await expect(settleRows(world, [settleRow(settled.order, OPG, { close: true })])).to.emit(escrow, 'OrderSettled')
    await expect(escrow.claim(f.node)).to.changeTokenBalance(f.token, f.node, (OPG * 69n) / 100n)
    await expect(escrow.connect(f.node).release(f.terms, released.order)).to.emit(escrow, 'OrderReleased')
    await time.increaseTo(reclaimed.order.claimBy)
    await expect(escrow.reclaim(f.terms, reclaimed.order)).to.emit(escrow, 'OrderReclaimed')

    await policy.setReverts(false)
    await policy.setNetworkRecipient(f.network)
    await expect(escrow.claimNetwork(f.network)).to.changeTokenBalance(f.token, f.network, OPG / 10n)
  })
})
