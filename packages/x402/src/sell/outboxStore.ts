import { parseSellerStep, toWire, type Hex, type SellerStep } from '@opg/protocol'
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types'
import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { OutboxError } from './errors.js'

/** What must reach the facilitator for one order: by its step, an attempt to give up, or a capture. */
export interface OutboxEntry {
  readonly orderId: Hex
  /** Unix seconds. From then on nothing can be captured, and anyone can return the money. */
  readonly claimBy: number
  readonly payment: PaymentPayload
  readonly requirements: PaymentRequirements
  readonly step: SellerStep
}

/** Keeps entries, one an order. Each promise resolves once what it says is durable. */
export interface OutboxStore {
  /** Replaces what was there for the order. */
  put(entry: OutboxEntry): Promise<void>
  remove(orderId: Hex): Promise<void>
  /** Called once, before all else: what an earlier process left. */
  load(): Promise<readonly OutboxEntry[]>
}

/**
 * Keeps entries for as long as the process lives. One that is killed loses the fees that the facilitator did not take
 * yet, and the locks of requests under way stay until their `claimBy`. For tests, and for sellers to whom that is fine.
 */
export function memoryOutbox(): OutboxStore {
  return {
    put: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    load: () => Promise.resolve([]),
  }
}

/** Lines that were written since the last clearing out, before the next one is worth it. */
const CLEAR_OUT_AFTER = 2_000

/**
 * Keeps entries in a file of JSON lines, which outlives `kill -9`. One process a file. A last line that a crash cut off
 * was never promised, and is left out.
 *
 * Every method throws {@link OutboxError}.
 */
export function fileOutbox(path: string): OutboxStore {
  const entries = new Map<Hex, string>()
  let waiting: string[] = []
  let written = 0
  let work: Promise<void> = Promise.resolve()

  /** One write and one flush for all lines that came while the last ones were on their way. */
  const append = (line: string): Promise<void> => {
    waiting.push(line)
    if (waiting.length > 1) return work
    work = work.then(flush, flush)
    return work
  }
  const flush = async (): Promise<void> => {
    const lines = waiting
    waiting = []
    written += lines.length
    try {
      const isFull = written > CLEAR_OUT_AFTER && written > 2 * entries.size
      await (isFull ? clearOut() : durably(path, { flags: 'a', lines }))
    } catch (cause) {
      throw new OutboxError(path, { cause })
    }
  }
  const clearOut = async (): Promise<void> => {
    const fresh = `${path}.new`
    await durably(fresh, { flags: 'w', lines: [...entries.values()] })
    await rename(fresh, path)
    const directory = await open(dirname(path))
    await directory.sync().finally(() => directory.close())
    written = entries.size
  }

  return {
    put: (entry) => {
      const line = JSON.stringify({ ...entry, step: toWire(entry.step) })
      entries.set(entry.orderId, line)
      return append(line)
    },
    remove: (orderId) => {
      if (!entries.delete(orderId)) return Promise.resolve()
      return append(JSON.stringify({ orderId }))
    },
    load: async () => {
      try {
        for (const line of await wholeLines(path)) {
          const { orderId, step } = JSON.parse(line) as { readonly orderId: Hex; readonly step?: unknown }
          if (step === undefined) entries.delete(orderId)
          else entries.set(orderId, line)
        }
        await clearOut()
        return [...entries.values()].map(readEntry)
      } catch (cause) {
        throw new OutboxError(path, { cause })
      }
    },
  }
}

function readEntry(line: string): OutboxEntry {
  const entry = JSON.parse(line) as Omit<OutboxEntry, 'step'> & { readonly step: unknown }
  return { ...entry, step: parseSellerStep(entry.step, 'step') }
}

async function durably(
  path: string,
  { flags, lines }: { readonly flags: 'a' | 'w'; readonly lines: readonly string[] },
): Promise<void> {
  const file = await open(path, flags, 0o600)
  try {
    await file.appendFile(lines.map((line) => `${line}\n`).join(''))
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function wholeLines(path: string): Promise<readonly string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\n').slice(0, -1)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
