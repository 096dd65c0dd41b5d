import { loadFixture, setCode } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { Wallet, concat, hexlify, id } from 'ethers'
import type { CachedModulusHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/CachedModulusHarness'
import { deploy } from '../support/fixture'

const ONE = new Wallet(id('one cache')).address
const OTHER = new Wallet(id('other cache')).address
const STOP = '0x00'
const WORD = 32

async function harnessFixture(): Promise<CachedModulusHarness> {
  return deploy<CachedModulusHarness>('CachedModulusHarness')
}

/** Bytes of which none is zero, so that one that is overwritten shows. */
function bytesOf(length: number, fill: number): string {
  return hexlify(new Uint8Array(length).fill(fill))
}

/** A bytes value takes a word for its length, and whole words. */
function sizeOf(length: number): number {
  return WORD + Math.ceil(length / WORD) * WORD
}

describe('CachedModulusLib', () => {
  for (const length of [1, 31, 32, 33, 63, 64, 65, 256, 384, 512]) {
    it(`reads two values of ${String(length)} bytes, each in memory of its own, and takes no word more`, async () => {
      const harness = await loadFixture(harnessFixture)
      await setCode(ONE, concat([STOP, bytesOf(length, 0xa1)]))
      await setCode(OTHER, concat([STOP, bytesOf(length, 0xb2)]))
      const [first, second, allocated] = await harness.readBoth(ONE, OTHER)
      expect(first).to.equal(bytesOf(length, 0xa1))
      expect(second).to.equal(bytesOf(length, 0xb2))
      expect(allocated).to.equal(2 * sizeOf(length))
    })
  }

  it('reads nothing where there is no code, or only the STOP', async () => {
    const harness = await loadFixture(harnessFixture)
    await setCode(OTHER, STOP)
    expect(await harness.readBoth(ONE, OTHER)).to.deep.equal(['0x', '0x', 2n * BigInt(WORD)])
  })
})
