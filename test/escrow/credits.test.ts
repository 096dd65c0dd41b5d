import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import type { CreditsHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/CreditsHarness'
import { deploy } from '../support/fixture'

async function bucketFixture(): Promise<CreditsHarness> {
  return deploy<CreditsHarness>('CreditsHarness')
}

describe('Credits', () => {
  it('holds what was added for the account and for the network until it is emptied, once', async () => {
    const bucket = await loadFixture(bucketFixture)
    await bucket.add(5n, 30n)
    await bucket.add(7n, 40n)
    expect(await bucket.value()).to.equal(12n)
    expect(await bucket.empty.staticCall()).to.deep.equal([12n, 70n])
    await bucket.empty()
    expect(await bucket.value()).to.equal(0n)
    expect(await bucket.empty.staticCall()).to.deep.equal([0n, 0n])
  })

  it('gives the network its part alone, once, and leaves the account its own', async () => {
    const bucket = await loadFixture(bucketFixture)
    await bucket.add(5n, 30n)
    expect(await bucket.emptyNetwork.staticCall()).to.equal(30n)
    await bucket.emptyNetwork()
    expect(await bucket.emptyNetwork.staticCall()).to.equal(0n)
    expect(await bucket.empty.staticCall()).to.deep.equal([5n, 0n])
  })

  it('gives the network a single base unit too', async () => {
    const bucket = await loadFixture(bucketFixture)
    await bucket.add(0n, 1n)
    await bucket.emptyNetwork()
    expect(await bucket.slot()).to.deep.equal([1n, 0n])
  })

  it("empties what is only the account's, and what is only the network's", async () => {
    const bucket = await loadFixture(bucketFixture)
    await bucket.add(5n, 0n)
    await bucket.empty()
    expect(await bucket.slot()).to.deep.equal([1n, 0n])
    await bucket.add(0n, 30n)
    await bucket.empty()
    expect(await bucket.slot()).to.deep.equal([1n, 0n])
  })

  it('stores one more than it holds, and keeps the slot in use once it was', async () => {
    const bucket = await loadFixture(bucketFixture)
    await bucket.add(5n, 0n)
    expect(await bucket.slot()).to.deep.equal([6n, 0n])
    await bucket.empty()
    expect(await bucket.slot()).to.deep.equal([1n, 0n])
    await bucket.add(1n, 0n)
    expect(await bucket.slot()).to.deep.equal([2n, 0n])
  })

  it('leaves a fresh slot alone where there is nothing to add or to take', async () => {
    const bucket = await loadFixture(bucketFixture)
    await bucket.add(0n, 0n)
    expect(await bucket.slot()).to.deep.equal([0n, 0n])
    await bucket.empty()
    await bucket.emptyNetwork()
    expect(await bucket.slot()).to.deep.equal([0n, 0n])
  })
})
