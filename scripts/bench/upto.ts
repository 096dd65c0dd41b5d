import {
  type Address,
  type Hex,
  type Offer,
  type Order,
  type Terms,
  UPTO_PROXY,
  type UptoAuthorization,
  deskAddress,
  uptoDigest,
  uptoFundingData,
  uptoOrder,
} from '@opg/protocol'
import type { Wallet } from 'ethers'
import { type Bench, mined, OPG } from './bench.js'

/** Opening by a stock x402 `upto` payment, per order. Fresh and used: the payer's Permit2 nonce word. */
export interface UptoFigures {
  readonly uptoSingleFresh: number
  readonly uptoSingleUsed: number
  readonly uptoBatch50Fresh: number
  readonly uptoBatch50Used: number
  /** Once for each offer: its desk, which the first order creates. */
  readonly uptoDesk: number
}

const BATCH = 50
const GAS_PER_ORDER = 200_000n
const CLAIM_WINDOW_SECONDS = 3_600

interface FundedOrder {
  readonly order: Order
  readonly data: Hex
}

/** Opens orders of one offer with payments whose nonces lie in words of their own, then with nonces beside them. */
export async function measureUpto(bench: Bench): Promise<UptoFigures> {
  const { devnet, relayer, payers } = bench
  const adapter = devnet.contracts.uptoAdapter
  const escrow = devnet.contracts.escrow.connect(relayer)
  const initCodeHash = (await adapter.DESK_INIT_CODE_HASH()) as Hex
  const batchers = payers.slice(0, BATCH)
  const [single] = payers.slice(BATCH)
  if (single === undefined) throw new RangeError('The bench has too few payers')

  const sign = async (payer: Wallet, nonce: bigint, terms: Terms): Promise<FundedOrder> => {
    const offer: Offer = { terms, claimWindow: CLAIM_WINDOW_SECONDS }
    const authorization: UptoAuthorization = {
      from: payer.address as Address,
      token: devnet.deployment.token,
      amount: OPG,
      spender: UPTO_PROXY,
      nonce,
      deadline: BigInt((await devnet.now()) + 600),
      to: devnet.deployment.escrow,
      facilitator: deskAddress({ adapter: (await adapter.getAddress()) as Address, initCodeHash, offer }),
      validAfter: 0n,
    }
    const signature = payer.signingKey.sign(uptoDigest(BigInt(devnet.chainId), authorization)).serialized as Hex
    return {
      order: uptoOrder(offer, authorization),
      data: uptoFundingData({ claimWindow: offer.claimWindow, validAfter: 0n, signature }),
    }
  }
  const open = async (nonce: bigint, terms = bench.terms): Promise<number> =>
    mined(escrow.openVia(adapter, terms, await sign(single, nonce, terms)))
  const openBatch = async (nonce: bigint): Promise<number> => {
    const orders: FundedOrder[] = []
    for (const payer of batchers) orders.push(await sign(payer, nonce, bench.terms))
    // A batch that opens less succeeds too, and would be cheaper.
    const opened = await escrow.openBatchVia.staticCall(adapter, bench.terms, orders, GAS_PER_ORDER)
    if (opened.includes(false)) throw new RangeError('The bench has orders that do not open')
    return mined(escrow.openBatchVia(adapter, bench.terms, orders, GAS_PER_ORDER))
  }

  // Far from the words that other workloads use. The first creates the desk.
  const word = (index: number): bigint => BigInt(index) << 32n
  await open(word(1))
  const uptoSingleFresh = await open(word(2))
  const otherOffer: Terms = { ...bench.terms, facilitator: relayer.address as Address }
  return {
    uptoSingleFresh,
    uptoSingleUsed: await open(word(2) + 1n),
    uptoBatch50Fresh: Math.round((await openBatch(word(3))) / BATCH),
    uptoBatch50Used: Math.round((await openBatch(word(3) + 1n)) / BATCH),
    uptoDesk: (await open(word(4), otherOffer)) - uptoSingleFresh,
  }
}
