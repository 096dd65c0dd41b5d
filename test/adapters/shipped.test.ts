import { loadFixture, setCode } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ethers } from 'hardhat'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Terms } from '../support/fixture'
import { uptoFixture } from '../support/upto'

interface Vectors {
  readonly deskInitCodeHash: string
  readonly offers: readonly {
    readonly adapter: string
    readonly offer: {
      readonly terms: Omit<Terms, 'facilitatorBps'> & { readonly facilitatorBps: number }
      readonly claimWindow: number
    }
    readonly desk: string
  }[]
}

const vectors = JSON.parse(
  readFileSync(resolve(__dirname, '../../packages/protocol/vectors/protocol.json'), 'utf8'),
) as Vectors

/** Payers sign where desks stand, and that depends on each byte of a desk's code: a change is to be seen in review. */
describe('desks, as the code that ships has them (E12)', () => {
  it('their creation code is the one of the vectors; if it changed, run npm run vectors -w @opg/protocol', async () => {
    const f = await loadFixture(uptoFixture)
    expect(await f.adapter.DESK_INIT_CODE_HASH()).to.equal(vectors.deskInitCodeHash)
  })

  it('they stand where the vectors say, for an adapter at any address', async () => {
    const f = await loadFixture(uptoFixture)
    const code = await ethers.provider.getCode(f.adapter)
    const placed = vectors.offers.filter(({ adapter }) => BigInt(adapter) > 0xffffn)
    expect(placed.length).to.be.greaterThan(0)
    for (const { adapter, offer, desk } of placed) {
      await setCode(adapter, code)
      expect(await f.adapter.attach(adapter).getFunction('deskOf')(offer.terms, offer.claimWindow)).to.equal(desk)
    }
  })
})
