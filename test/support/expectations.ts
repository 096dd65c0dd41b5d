import { expect } from 'chai'
import type { ContractTransactionResponse } from 'ethers'
import type { Fixture } from './fixture'
import type { Shares } from './shares'

/** Both events of a settling call that credits everybody of `f.terms`, with exactly `shares`. */
export async function expectCredited(
  f: Pick<Fixture, 'escrow' | 'node' | 'facilitator' | 'modelId'>,
  sent: Promise<ContractTransactionResponse>,
  shares: Shares,
): Promise<void> {
  await expect(sent).to.emit(f.escrow, 'FeesCredited').withArgs(f.node.address, shares.node, shares.network)
  await expect(sent)
    .to.emit(f.escrow, 'SharesCredited')
    .withArgs(f.facilitator.address, f.modelId, shares.facilitator, shares.royalty)
}
