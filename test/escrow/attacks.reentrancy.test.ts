import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { MaxUint256, ZeroAddress, concat, type ContractTransactionResponse } from 'ethers'
import type { HostileFunder } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileFunder'
import type { HostileToken } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileToken'
import {
  GAS_PER_ORDER,
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployAround,
  makeOrder,
  openOrder,
  settleRow,
  settleRows,
  settlementEvidence,
  signOrder,
} from '../support/fixture'
import { installPermit2 } from '../support/permit2'
import {
  allocate,
  openRouted,
  plan,
  routedTerms,
  settleSlices,
  settleSlicesArgs,
  signAllocation,
  sliceRows,
} from '../support/routed'

const CALLS_BACK = '0x09' // of `HostileFunder`

/** Every entrance that moves money or state, and is therefore guarded. */
const ENTRANCES = [
  'open',
  'openBatch',
  'openFunded',
  'openVia',
  'openBatchVia',
  'allocate',
  'settleSlices',
  'settle',
  'settleWithClaim',
  'release',
  'reclaim',
  'claim',
  'claimTo',
  'claimRoyalty',
  'claimNetwork',
  'collectNetwork',
  'multicall',
] as const

/** Calls during which the token, or a funder, gets its turn. */
const OCCASIONS = [
  'open',
  'openBatch',
  'openFunded',
  'openVia',
  'openBatchVia',
  'settleSlices',
  'settle',
  'settleWithClaim',
  'release',
  'reclaim',
  'claim',
  'claimRoyalty',
  'claimNetwork',
] as const

/** A token that calls back, and orders in every state that an entrance needs to do its worst. */
async function reentrancyFixture() {
  await installPermit2()
  const token = await deploy<HostileToken>('HostileToken')
  const f = { ...(await deployAround(await token.getAddress())), token }
  const funder = await deploy<HostileFunder>('HostileFunder', [f.home.token])
  for (const account of [f.payer, funder]) await token.mint(account, 1_000n * OPG)
  await token.connect(f.payer).approve(PERMIT2_ADDRESS, MaxUint256)
  await token.connect(f.payer).approve(f.home.escrow, MaxUint256)

  const { order } = await openOrder(f)
  const credited = await openOrder(f)
  await settleRows(f, [settleRow(credited.order, OPG)])
  await f.escrow.collectNetwork([f.node])
  await settleRows(f, [settleRow(credited.order, 2n * OPG)])
  const routed = { ...f, terms: routedTerms(f.terms) }
  const { order: routedOrder } = await openRouted(routed)
  const planned = await allocate(routed, routedOrder, { cap: OPG })
  return { ...f, funder, order, routed, routedOrder, planned }
}

type ReentrancyFixture = Awaited<ReturnType<typeof reentrancyFixture>>

/** Every call as it would succeed, were it made from outside by the right account. */
async function callsOf(f: ReentrancyFixture) {
  const { escrow, terms, order } = f
  const rows = [settleRow(order, OPG, { close: true })]
  const evidence = await settlementEvidence(f, f.node, rows)
  const slices = settleSlicesArgs(f.routed, f.planned, await sliceRows(f, f.planned, [{ index: 0, fee: OPG }]))
  const fresh = await signOrder(f, f.payer, await makeOrder(f))
  const funded = { order: fresh.order, data: '0x' }
  const more = plan(f.routed, f.routedOrder, { cap: OPG, count: 1 })
  const signature = await signAllocation(f, f.facilitator, more)
  const funder = await f.funder.getAddress()
  return { escrow, terms, order, rows, evidence, slices, fresh, funded, more, signature, funder }
}

async function encodedCall(f: ReentrancyFixture, name: (typeof ENTRANCES)[number]): Promise<string> {
  const { terms, order, rows, evidence, slices, fresh, funded, more, signature, funder } = await callsOf(f)
  const encode = f.escrow.interface
  const claim = encode.encodeFunctionData('claim', [f.node.address])
  const calls: Readonly<Record<(typeof ENTRANCES)[number], () => string>> = {
    open: () => encode.encodeFunctionData('open', [terms, fresh]),
    openBatch: () => encode.encodeFunctionData('openBatch', [terms, [fresh], GAS_PER_ORDER]),
    openFunded: () => encode.encodeFunctionData('openFunded', [terms, fresh.order]),
    openVia: () => encode.encodeFunctionData('openVia', [funder, terms, funded]),
    openBatchVia: () => encode.encodeFunctionData('openBatchVia', [funder, terms, [funded], GAS_PER_ORDER]),
    allocate: () => encode.encodeFunctionData('allocate', [f.routed.terms, f.routedOrder, more.allocation, signature]),
    settleSlices: () => encode.encodeFunctionData('settleSlices', slices),
    settle: () => encode.encodeFunctionData('settle', [terms, rows, evidence]),
    settleWithClaim: () => encode.encodeFunctionData('settleWithClaim', [terms, rows, evidence]),
    release: () => encode.encodeFunctionData('release', [terms, order]),
    reclaim: () => encode.encodeFunctionData('reclaim', [terms, order]),
    claim: () => claim,
    claimTo: () => encode.encodeFunctionData('claimTo', [f.stranger.address]),
    claimRoyalty: () => encode.encodeFunctionData('claimRoyalty', [f.modelId, f.modelOwner.address]),
    claimNetwork: () => encode.encodeFunctionData('claimNetwork', [f.network.address]),
    collectNetwork: () => encode.encodeFunctionData('collectNetwork', [[f.node.address]]),
    multicall: () => encode.encodeFunctionData('multicall', [[claim]]),
  }
  return calls[name]()
}

async function occasion(
  f: ReentrancyFixture,
  name: (typeof OCCASIONS)[number],
): Promise<() => Promise<ContractTransactionResponse>> {
  const { escrow, terms, order, rows, evidence, slices, fresh, funded, funder } = await callsOf(f)
  if (name === 'reclaim') await time.increaseTo(order.claimBy)
  const calls: Readonly<Record<(typeof OCCASIONS)[number], () => Promise<ContractTransactionResponse>>> = {
    open: () => escrow.open(terms, fresh),
    openBatch: () => escrow.openBatch(terms, [fresh], GAS_PER_ORDER * 10n),
    openFunded: () => escrow.connect(f.payer).openFunded(terms, fresh.order),
    openVia: () => escrow.openVia(funder, terms, funded),
    openBatchVia: () => escrow.openBatchVia(funder, terms, [funded], GAS_PER_ORDER * 10n),
    settleSlices: () => escrow.settleSlices(...slices),
    settle: () => escrow.settle(terms, rows, evidence),
    settleWithClaim: () => escrow.settleWithClaim(terms, rows, evidence),
    release: () => escrow.connect(f.node).release(terms, order),
    reclaim: () => escrow.reclaim(terms, order),
    claim: () => escrow.claim(f.node),
    claimRoyalty: () => escrow.claimRoyalty(f.modelId, f.modelOwner),
    claimNetwork: () => escrow.claimNetwork(f.network),
  }
  return calls[name]
}

describe('attacks by re-entrance', () => {
  for (const during of OCCASIONS) {
    it(`re-entrant token during ${during}: every entrance is refused (E1, E5)`, async () => {
      for (const entrance of ENTRANCES) {
        const f = await loadFixture(reentrancyFixture)
        const call = await occasion(f, during)
        await f.token.setCallback(f.home.escrow, await encodedCall(f, entrance))
        await call()
        expect(await f.token.callee(), `${entrance} was called`).to.equal(ZeroAddress)
        expect(await f.token.callbackSucceeded(), entrance).to.equal(false)
        expect(await f.token.callbackAnswer(), entrance).to.equal(
          f.escrow.interface.getError('ReentrancyGuardReentrantCall')?.selector,
        )
      }
    })
  }

  for (const during of ['openVia', 'openBatchVia'] as const) {
    it(`re-entrant funder during ${during}: every entrance is refused, and its order opens all the same (E1, E5)`, async () => {
      for (const entrance of ENTRANCES) {
        const f = await loadFixture(reentrancyFixture)
        const order = await makeOrder(f)
        const funded = { order, data: concat([CALLS_BACK, await encodedCall(f, entrance)]) }
        const sent =
          during === 'openVia'
            ? f.escrow.openVia(f.funder, f.terms, funded)
            : f.escrow.openBatchVia(f.funder, f.terms, [funded], 1_000_000n)
        await expect(sent).to.changeTokenBalance(f.token, f.escrow, order.amount)
        expect(await f.funder.callbackSucceeded(), entrance).to.equal(false)
        expect(await f.funder.callbackAnswer(), entrance).to.equal(
          f.escrow.interface.getError('ReentrancyGuardReentrantCall')?.selector,
        )
      }
    })
  }

  it('the calls that are refused would succeed from outside: the guard alone keeps them out', async () => {
    for (const entrance of ENTRANCES) {
      const f = await loadFixture(reentrancyFixture)
      const data = await encodedCall(f, entrance)
      const caller = { release: f.node, openFunded: f.payer }[entrance as string] ?? f.stranger
      if (entrance === 'reclaim') await time.increaseTo(f.order.claimBy)
      await expect(caller.sendTransaction({ to: f.home.escrow, data }), entrance).not.to.be.reverted
    }
  })

  it('policy share synced from inside an opening: the order keeps the share of its beginning (E9)', async () => {
    const f = await loadFixture(reentrancyFixture)
    await f.policy.setNetworkBps(1_000)
    await f.token.setCallback(f.home.escrow, f.escrow.interface.encodeFunctionData('syncNetworkBps'))
    const { orderId } = await openOrder(f)
    expect(await f.token.callbackSucceeded()).to.equal(true)
    expect((await f.escrow.orders(orderId)).networkBps).to.equal(200n)
    expect(await f.escrow.networkBps()).to.equal(1_000n)
    await settleSlices(f.routed, f.planned, [{ index: 0, fee: OPG }])
    expect(await f.escrow.networkCredit()).to.equal(OPG / 25n)
  })
})
