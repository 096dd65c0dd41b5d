import { HTTPFacilitatorClient, type FacilitatorClient } from '@x402/core/server'
import type { SettleResponse } from '@x402/core/types'
import type { Wallet } from 'ethers'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type EscrowUptoOptions, fileOutbox } from '../../src/index.js'
import { errorOf } from '../support/buyer.js'
import { answer, openShop } from './support/shop.js'
import { OPG, SellWorld, refusal, settled, until } from './support/world.js'

const CAP = OPG / 20n
const POST = { method: 'POST' } as const
/** From a lock, with 300 seconds to pay and the claim window of an hour. */
const TO_CLAIM_BY_MS = 3_900_000

describe('a seller that can settle by itself', () => {
  let world: SellWorld
  let sender: Wallet
  let skewMs: number
  beforeAll(async () => {
    world = await SellWorld.start()
    sender = world.devnet.wallets[6]
  })
  beforeEach(() => {
    skewMs = 0
  })
  afterEach(async () => {
    world.line.moods.capture = 'well'
    await world.untilAllClosed()
    await world.stopSellers()
  })
  afterAll(() => world.stop())

  /** Locks honestly, and answers captures of fees itself. */
  const facilitatorThat = (answers: (orderId: string) => SettleResponse): FacilitatorClient => {
    const well = new HTTPFacilitatorClient({ url: world.line.url })
    return {
      getSupported: () => well.getSupported(),
      verify: (...payment) => well.verify(...payment),
      settle: (payment, requirements) => {
        const { opg } = payment.payload as {
          readonly opg: { readonly phase: string; readonly settlement?: { readonly orderId: string } }
        }
        const isFee = opg.phase === 'capture' && requirements.amount !== '0'
        return isFee ? Promise.resolve(answers(opg.settlement?.orderId ?? '')) : well.settle(payment, requirements)
      },
    }
  }
  const network = (): `eip155:${string}` => `eip155:${String(world.devnet.chainId)}`
  /** Says that it has the capture, and does nothing. */
  const withholding = (): FacilitatorClient =>
    facilitatorThat((orderId) => ({
      success: true,
      transaction: '',
      network: network(),
      extra: { opg: { orderId, state: 'queued' } },
    }))
  const options = (overrides: Partial<EscrowUptoOptions> = {}): Partial<EscrowUptoOptions> => ({
    now: () => Date.now() + skewMs,
    limits: { captureWaitMs: 500 },
    direct: { signer: sender },
    ...overrides,
  })

  it('is paid before claimBy where the facilitator takes the capture and does nothing', async () => {
    const shop = await openShop(world, answer, options({ facilitator: withholding() }))
    const before = await world.money()
    const response = await world.payFetch(shop.url, POST)
    expect([response.status, settled(response).opg.state]).toEqual([200, 'queued'])
    await wait(1_500) // twice asked
    expect(shop.seller.outboxSize).toBe(1)
    expect((await world.money()).earned).toBe(before.earned)
    skewMs = TO_CLAIM_BY_MS - 800_000
    await world.untilPaid(before, CAP)
    await until(() => shop.seller.outboxSize === 0, 'the outbox is empty')
  })

  it('is paid for all of many, by one account', async () => {
    const shop = await openShop(world, answer, options({ facilitator: withholding() }))
    const before = await world.money()
    for (let i = 0; i < 5; i++) expect((await world.payFetch(shop.url, POST)).status).toBe(200)
    skewMs = TO_CLAIM_BY_MS - 800_000
    await until(() => shop.seller.outboxSize === 0, 'the outbox is empty')
    await world.untilPaid(before, 5n * CAP)
  })

  it('is paid at once by hand, also for what an earlier process left in its file', async () => {
    const path = join(world.directory, 'direct.jsonl')
    const { direct: _, ...without } = options({ facilitator: facilitatorThat(away) })
    const earlier = await openShop(world, answer, { ...without, outbox: fileOutbox(path) })
    const before = await world.money()
    expect((await world.payFetch(earlier.url, POST)).status).toBe(200)
    expect(await errorOf(earlier.seller.settleDirectly())).toMatchObject({ setting: 'direct' })
    await earlier.seller.close()
    const next = await world.seller(options({ facilitator: facilitatorThat(away), outbox: fileOutbox(path) }))
    expect(next.outboxSize).toBe(1)
    expect(await next.settleDirectly()).toEqual([])
    await world.untilPaid(before, CAP)
    expect(next.outboxSize).toBe(0)
  })

  it('sends nothing where the facilitator captures', async () => {
    const shop = await openShop(world, answer, options())
    const [before, nonce] = [await world.money(), await sender.getNonce()]
    expect((await world.payFetch(shop.url, POST)).status).toBe(200)
    await until(() => shop.seller.outboxSize === 0, 'the chain has it')
    await world.untilPaid(before, CAP)
    expect(await sender.getNonce()).toBe(nonce)
  })

  it('takes no fee for an answer that did not leave, though it is late', async () => {
    const refusing = facilitatorThat(() => ({
      success: false,
      errorReason: 'evidence_invalid',
      transaction: '',
      network: network(),
    }))
    const shop = await openShop(
      world,
      (_request, response) => {
        skewMs = TO_CLAIM_BY_MS - 800_000
        response.json({ answer: 42 })
      },
      options({ facilitator: refusing }),
    )
    const [before, nonce] = [await world.money(), await sender.getNonce()]
    expect(refusal(await world.payFetch(shop.url, POST))).toBe('evidence_invalid')
    await world.untilGivenBack(before)
    expect(await sender.getNonce()).toBe(nonce)
  })

  it('is not set up to come too late, or at once', async () => {
    for (const secondsBeforeClaimBy of [0, 3_600]) {
      const direct = { signer: sender, secondsBeforeClaimBy }
      expect(await errorOf(world.seller({ direct }))).toMatchObject({ setting: 'direct.secondsBeforeClaimBy' })
    }
  })

  /** Gives no answer that says anything. */
  function away(): SettleResponse {
    return { success: false, errorReason: 'unavailable', transaction: '', network: network() }
  }
})
