import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { MaxUint256, Signature, Wallet, ZeroAddress, ZeroHash, id } from 'ethers'
import type { HostileToken } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileToken'
import {
  DAY,
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployAround,
  deployFixture,
  makeOrder,
  now,
  orderIdOf,
  signOrder,
} from '../support/fixture'
import { installPermit2 } from '../support/permit2'

type PermitArgs = [owner: string, value: bigint, deadline: bigint, v: number, r: string, s: string]

/** A payer without native coin and without approvals: it can do nothing but sign. */
async function gaslessFixture() {
  const f = await deployFixture()
  const payer = new Wallet(id('gasless payer'))
  await f.token.mint(payer.address, 100n * OPG)
  const order = await makeOrder(f, { payer: payer.address })
  const signed = await signOrder(f, payer, order)
  const permit = async (changes: { spender?: string; value?: bigint; deadline?: bigint } = {}): Promise<PermitArgs> => {
    const { spender = PERMIT2_ADDRESS, value = MaxUint256, deadline = (await now()) + DAY } = changes
    const domain = await f.token.eip712Domain()
    const signature = await payer.signTypedData(
      { name: domain.name, version: domain.version, chainId: domain.chainId, verifyingContract: f.home.token },
      {
        Permit: [
          { type: 'address', name: 'owner' },
          { type: 'address', name: 'spender' },
          { type: 'uint256', name: 'value' },
          { type: 'uint256', name: 'nonce' },
          { type: 'uint256', name: 'deadline' },
        ],
      },
      { owner: payer.address, spender, value, nonce: await f.token.nonces(payer.address), deadline },
    )
    const { v, r, s } = Signature.from(signature)
    return [payer.address, value, deadline, v, r, s]
  }
  return { ...f, escrow: f.escrow.connect(f.stranger), payer, order, signed, permit }
}

type GaslessFixture = Awaited<ReturnType<typeof gaslessFixture>>

describe('tryPermit', () => {
  /** The gasless start, as anybody relays it. */
  function start(f: GaslessFixture, permit: PermitArgs) {
    return f.escrow.multicall([
      f.escrow.interface.encodeFunctionData('tryPermit', permit),
      f.escrow.interface.encodeFunctionData('open', [f.terms, f.signed]),
    ])
  }

  it('approves Permit2 by signature, and says so', async () => {
    const f = await loadFixture(gaslessFixture)
    const permit = await f.permit({ value: 7n })
    expect(await f.escrow.tryPermit.staticCall(...permit)).to.equal(true)
    await expect(f.escrow.tryPermit(...permit))
      .to.emit(f.token, 'Approval')
      .withArgs(f.payer.address, PERMIT2_ADDRESS, 7n)
    expect(await f.token.allowance(f.payer.address, f.escrow)).to.equal(0n)
  })

  it('opens the first order of a payer that has no native coin, in one relayed transaction', async () => {
    const f = await loadFixture(gaslessFixture)
    const sent = start(f, await f.permit())
    await expect(sent).to.emit(f.escrow, 'OrderOpened')
    await expect(sent).to.changeTokenBalances(f.token, [f.payer.address, f.escrow], [-10n * OPG, 10n * OPG])
  })

  it('stranger uses the permit first: the order opens all the same', async () => {
    const f = await loadFixture(gaslessFixture)
    const permit = await f.permit()
    const [owner, value, deadline, v, r, s] = permit
    await f.token.connect(f.stranger).permit(owner, PERMIT2_ADDRESS, value, deadline, v, r, s)
    expect(await f.escrow.tryPermit.staticCall(...permit)).to.equal(false)
    await expect(start(f, permit)).to.emit(f.escrow, 'OrderOpened')
  })

  it('garbage never reverts, and approves nobody', async () => {
    const f = await loadFixture(gaslessFixture)
    const good = await f.permit()
    const [owner, value, deadline, v, r, s] = good
    const other = await f.permit({ spender: f.home.escrow }) // what would approve the escrow itself
    const late = await f.permit({ deadline: (await now()) + 10n })
    await time.increase(20n)
    const garbage: PermitArgs[] = [
      [owner, value, deadline, 0, ZeroHash, ZeroHash],
      [owner, value, deadline, v === 27 ? 28 : 27, r, s],
      [owner, value - 1n, deadline, v, r, s],
      [owner, value, deadline + 1n, v, r, s],
      [f.otherPayer.address, value, deadline, v, r, s],
      [ZeroAddress, value, deadline, 255, r, s],
      [owner, 0n, 0n, v, id('r'), id('s')],
      other,
      late,
    ]
    for (const permit of garbage) {
      expect(await f.escrow.tryPermit.staticCall(...permit), permit.join()).to.equal(false)
      await expect(f.escrow.tryPermit(...permit)).not.to.emit(f.token, 'Approval')
    }
    expect(await f.token.allowance(f.payer.address, PERMIT2_ADDRESS)).to.equal(0n)
    await expect(start(f, garbage[0] ?? good)).to.be.revertedWith('TRANSFER_FROM_FAILED') // what `open` says
  })

  it('token without permit: it says no, and an approval made before serves', async () => {
    await installPermit2()
    const token = await deploy<HostileToken>('HostileToken')
    const f = { ...(await deployAround(await token.getAddress())), token }
    await token.mint(f.payer, 100n * OPG)
    const permit: PermitArgs = [f.payer.address, MaxUint256, MaxUint256, 27, id('r'), id('s')]
    expect(await f.escrow.tryPermit.staticCall(...permit)).to.equal(false)
    await token.connect(f.payer).approve(PERMIT2_ADDRESS, MaxUint256)
    const order = await makeOrder(f)
    const calls = [
      f.escrow.interface.encodeFunctionData('tryPermit', permit),
      f.escrow.interface.encodeFunctionData('open', [f.terms, await signOrder(f, f.payer, order)]),
    ]
    await f.escrow.connect(f.stranger).multicall(calls)
    expect((await f.escrow.orders(orderIdOf(f.home, f.terms, order))).amount).to.equal(order.amount)
  })
})
