import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { EngineStatus } from '../engine/types.js'
import type { Health } from './health.js'

/** What is counted, and how it is told. */
export interface Metrics {
  /** `outcome`: `valid`, `settled`, or why not. */
  answered(operation: 'verify' | 'settle', outcome: string, seconds: number): void
  /** An opening was refused by a limit of this name. */
  limited(limit: string): void
  /** Prometheus's text, with what the engine says now. */
  text(health: Health): Promise<string>
  readonly contentType: string
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

const GAUGES = {
  queuedOpenings: ['opg_facilitator_queued_openings', 'Orders that wait to be opened.'],
  openOrders: ['opg_facilitator_open_orders', 'Orders that are locked, and neither captured nor reclaimed.'],
  queuedCaptures: ['opg_facilitator_queued_captures', 'Captures that wait to be sent.'],
  failedCaptures: ['opg_facilitator_failed_captures', 'Captures that the chain did not take.'],
  pendingTransactions: ['opg_facilitator_pending_transactions', 'Transactions that were sent and are not mined.'],
  oldestPendingSeconds: ['opg_facilitator_oldest_pending_seconds', 'Age of the oldest of them.'],
  balance: ['opg_facilitator_gas_balance_wei', 'Gas money that is left.'],
} as const satisfies Readonly<Record<keyof EngineStatus, readonly [string, string]>>

export function createMetrics(): Metrics {
  const registers = [new Registry()] as const
  const [registry] = registers
  const answers = new Counter({
    name: 'opg_facilitator_answers_total',
    help: 'Answers by operation and outcome.',
    labelNames: ['operation', 'outcome'],
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'opg_facilitator_answer_seconds',
    help: 'How long answers took.',
    labelNames: ['operation'],
    buckets: SECONDS,
    registers: [registry],
  })
  const limited = new Counter({
    name: 'opg_facilitator_limited_total',
    help: 'Openings that a limit refused, by the name of its setting.',
    labelNames: ['limit'],
    registers: [registry],
  })
  const up = new Gauge({
    name: 'opg_facilitator_up',
    help: '1 where chain and database answer and gas money is left, else 0.',
    registers: [registry],
  })
  const gauges = Object.entries(GAUGES).map(
    ([key, [name, help]]) => [key as keyof EngineStatus, new Gauge({ name, help, registers: [registry] })] as const,
  )
  return {
    answered: (operation, outcome, seconds) => {
      answers.inc({ operation, outcome })
      durations.observe({ operation }, seconds)
    },
    limited: (limit) => {
      limited.inc({ limit })
    },
    text: async ({ isHealthy, engine }) => {
      up.set(isHealthy ? 1 : 0)
      for (const [key, gauge] of gauges) {
        // Of what is not known now nothing is told, rather than what it was.
        const value = engine?.[key]
        if (value === undefined) gauge.remove()
        else gauge.set(Number(value))
      }
      return registry.metrics()
    },
    contentType: registry.contentType,
  }
}
