import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import type { CreditsHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/CreditsHarness'
import { deploy } from '../support/fixture'

async function bucketFixture(): Promise<CreditsHarness> {
  return deploy<CreditsHarness>('CreditsHarness')
}

describe('Credits', () => {
  it('holds what was added until it is emptied, once', async () => {
    const bucket = await loadFixture(bucketFixture)
    await bucket.add(5n)
    await bucket.add(7n)
    expect(await bucket.value()).to.equal(12n)
    expect(await bucket.empty.staticCall()).to.equal(12n)
    await bucket.empty()
    expect(await bucket.value()).to.equal(0n)
    expect(await bucket.empty.staticCall()).to.equal(0n)
  })

  it('stores one more than it holds, and keeps the slot in use once it was', async () => {
    const bucket = await loadFixture(bucketFixture)
    await bucket.add(5n)
    expect(await bucket.slot()).to.equal(6n)
    await bucket.empty()
    expect(await bucket.slot()).to.equal(1n)
    await bucket.add(1n)
    expect(await bucket.slot()).to.equal(2n)
  })

  it('leaves a fresh slot alone where there is nothing to add or to take', async () => {
    const bucket = await loadFixture(bucketFixture)
    await bucket.add(0n)
    expect(await bucket.slot()).to.equal(0n)
    await bucket.empty()
    expect(await bucket.slot()).to.equal(0n)
  })
})
