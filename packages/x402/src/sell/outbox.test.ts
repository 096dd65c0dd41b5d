import { SILENT } from '@opg/node'
import type { CaptureStep, Hex, LockStep } from '@opg/protocol'
import type { PaymentPayload, PaymentRequirements, SettleResponse } from '@x402/core/types'
import { describe, expect, it } from 'vitest'
import { openOutbox, type Outbox } from './outbox.js'
import type { OutboxEntry, OutboxStore } from './outboxStore.js'

const ORDER: Hex = `0x${'0a'.repeat(32)}`
const CLAIM_BY = 1_800_000_000
const requirements: PaymentRequirements = {
  scheme: 'upto',
  network: 'eip155:31337',
  asset: '0x',
  amount: '10',
  payTo: '0x',
  maxTimeoutSeconds: 300,
  extra: {},
}
const lock: LockStep = { phase: 'lock', attempt: ORDER, signature: `0x${'0b'.repeat(65)}` }
const capture = (cumulativeFee: bigint): CaptureStep => ({
  phase: 'capture',
  settlement: { orderId: ORDER, cumulativeFee, receiptsRoot: ORDER, receiptCount: 1n, close: true },
  evidence: '0x01',
})
const entry = (step: OutboxEntry['step']): OutboxEntry => ({
  orderId: ORDER,
  claimBy: CLAIM_BY,
  payment: { x402Version: 2, accepted: requirements, payload: {} },
  requirements,
  step,
})

const done: SettleResponse = {
  success: true,
  transaction: '0x',
  network: 'eip155:31337',
  extra: { opg: { orderId: ORDER, state: 'queued' } },
}
const refused = (errorReason: string): SettleResponse => ({
  success: false,
  errorReason,
  transaction: '',
  network: 'eip155:31337',
})

interface Asked {
  readonly phase: string
  readonly fee: string | undefined
}

/** An outbox whose facilitator says what it is told to say, in order, and whose time passes by its pauses alone. */
async function scripted(answers: (SettleResponse | 'broken')[], kept: readonly OutboxEntry[] = []) {
  const asked: Asked[] = []
  const pauses: number[] = []
  const stored = new Map<Hex, OutboxEntry>()
  let nowMs = (CLAIM_BY - 3_600) * 1_000
  const store: OutboxStore = {
    put: (one) => {
      stored.set(one.orderId, one)
      return Promise.resolve()
    },
    remove: (orderId) => {
      stored.delete(orderId)
      return Promise.resolve()
    },
    load: () => {
      for (const one of kept) stored.set(one.orderId, one)
      return Promise.resolve(kept)
    },
  }
  const settle = (payment: PaymentPayload): Promise<SettleResponse> => {
    const { opg } = payment.payload as {
      readonly opg: { readonly phase: string; readonly settlement?: { readonly cumulativeFee: string } }
    }
    asked.push({ phase: opg.phase, fee: opg.settlement?.cumulativeFee })
    const answer = answers.shift() ?? 'broken'
    return answer === 'broken' ? Promise.reject(new Error('broken')) : Promise.resolve(answer)
  }
  const outbox: Outbox = await openOutbox({
    store,
    facilitator: { settle },
    release: () => Promise.resolve(capture(0n)),
    now: () => nowMs,
    sleep: (ms) => {
      pauses.push(ms)
      nowMs += ms
      return new Promise((resolve) => setImmediate(resolve))
    },
    logger: SILENT,
    askTimeoutMs: 1_000,
  })
  const emptied = async (): Promise<void> => {
    while (outbox.size > 0) await new Promise((resolve) => setImmediate(resolve))
  }
  return { outbox, asked, pauses, stored, emptied }
}

describe('an outbox', () => {
  it('tells what the facilitator said, and forgets what it has', async () => {
    const { outbox, stored } = await scripted([done])
    expect(await outbox.deliver(entry(capture(10n)), 1_000)).toMatchObject({ status: 'done', state: 'queued' })
    expect([outbox.size, stored.size]).toEqual([0, 0])
  })

  it('tries again with pauses that double up to a minute, until the facilitator has it', async () => {
    const { outbox, asked, pauses, emptied } = await scripted([...Array<'broken'>(9).fill('broken'), done])
    expect((await outbox.deliver(entry(capture(10n)), 1_000)).status).toBe('unknown')
    await emptied()
    expect(asked).toEqual(Array(10).fill({ phase: 'capture', fee: '10' }))
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  })

  it('keeps a capture that was refused too, since nothing else brings its fee', async () => {
    const { outbox, asked, emptied } = await scripted([refused('over_limit'), refused('order_unknown'), done])
    expect(await outbox.deliver(entry(capture(10n)), 1_000)).toMatchObject({ status: 'refused', reason: 'over_limit' })
    await emptied()
    expect(asked).toHaveLength(3)
  })

  it('gives up at claimBy, and not a pause before', async () => {
    const { outbox, pauses, emptied, stored } = await scripted([])
    await outbox.deliver(entry(capture(10n)), 1_000)
    await emptied()
    const waited = pauses.reduce((sum, ms) => sum + ms, 0)
    expect(waited).toBeGreaterThanOrEqual(3_600_000)
    expect(waited).toBeLessThan(3_600_000 + 60_000)
    expect(stored.size).toBe(0)
  })

  it('releases a lock that it gave up once the facilitator says that it is of this attempt', async () => {
    const { outbox, asked, emptied } = await scripted(['broken', done, 'broken', done])
    await outbox.deliver(entry(lock), 0)
    await emptied()
    expect(asked.map(({ phase, fee }) => `${phase} ${fee ?? ''}`.trim())).toEqual([
      'lock',
      'lock',
      'capture 0',
      'capture 0',
    ])
  })

  it.each(['payment_already_used', 'lock_refused', 'permit2_deadline_expired'])(
    'releases nothing where the facilitator says %s: the order is another attempt’s, or none',
    async (reason) => {
      const { outbox, asked, emptied } = await scripted([refused(reason)])
      await outbox.deliver(entry(lock), 0)
      await emptied()
      expect(asked).toEqual([{ phase: 'lock', fee: undefined }])
    },
  )

  it.each(['over_limit', 'lock_pending', 'unavailable'])(
    'asks again for a lock where the facilitator says %s',
    async (reason) => {
      const { outbox, asked, emptied } = await scripted([refused(reason), refused('payment_already_used')])
      await outbox.deliver(entry(lock), 0)
      await emptied()
      expect(asked).toHaveLength(2)
    },
  )

  it('replaces a capture by the release that takes its place', async () => {
    const { outbox, asked, emptied } = await scripted([refused('evidence_invalid'), done])
    await outbox.deliver(entry(capture(10n)), 1_000)
    expect((await outbox.deliver(entry(capture(0n)), 1_000)).status).toBe('done')
    await emptied()
    await new Promise((resolve) => setImmediate(resolve))
    expect(asked.map(({ fee }) => fee)).toEqual(['10', '0'])
  })

  it('takes up what an earlier process left: captures as they are, locks to be given back', async () => {
    const other: Hex = `0x${'0c'.repeat(32)}`
    const settledOther = { ...done, extra: { opg: { orderId: other, state: 'locked' } } }
    const left = [entry(capture(10n)), { ...entry(lock), orderId: other }]
    const { asked, emptied } = await scripted([done, settledOther, settledOther], left)
    await emptied()
    expect(asked.map(({ phase, fee }) => `${phase} ${fee ?? ''}`.trim())).toEqual(['capture 10', 'lock', 'capture 0'])
  })

  it('does not keep trying once it is closed', async () => {
    const { outbox, asked } = await scripted([])
    await outbox.deliver(entry(capture(10n)), 1_000)
    await outbox.close()
    const tried = asked.length
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(asked.length).toBe(tried)
    expect(outbox.size).toBe(1)
  })
})
