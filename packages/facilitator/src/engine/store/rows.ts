import { type Row, amount, hex, integer, optionalInteger, optionalText, text } from '@opg/operator'
import {
  type Hex,
  type Reader,
  parseAddress,
  parseBytes,
  parseBytes32,
  parseObject,
  parseOrder,
  parseSettlement,
  parseSmallUint,
  parseTerms,
  parseUint,
  toWire,
} from '@opg/protocol'
import type { Capture, Eip2612Approval, Funding, Opening } from '../types.js'
import type { SqlValue, Statements } from './sql.js'
import type { Entry, EntryKind, StoredOrder } from './types.js'

const uint256 = parseUint(256)
const anyBytes = parseBytes({ min: 0, max: 1 << 20 })

const readPermit2 = parseObject<Extract<Funding, { kind: 'permit2' }>>({
  kind: () => 'permit2',
  deadline: uint256,
  signature: anyBytes,
})
const readUpto = parseObject<Extract<Funding, { kind: 'upto' }>>({
  kind: () => 'upto',
  adapter: parseAddress,
  deadline: uint256,
  claimWindow: parseSmallUint(32),
  validAfter: uint256,
  signature: anyBytes,
})
const readFunding: Reader<Funding> = (value, field) =>
  (value as { readonly kind?: unknown }).kind === 'upto' ? readUpto(value, field) : readPermit2(value, field)
const readApproval = parseObject<Eip2612Approval>({ value: uint256, deadline: uint256, signature: anyBytes })
const readOpening = parseObject<Opening>({
  orderId: parseBytes32,
  terms: parseTerms,
  order: parseOrder,
  funding: readFunding,
  approval: (value, field) => (value === null ? undefined : readApproval(value, field)),
})
const readCapture = parseObject<Capture>({ orderId: parseBytes32, settlement: parseSettlement, evidence: anyBytes })

export function openingText(opening: Opening): string {
  return JSON.stringify(toWire({ ...opening, approval: opening.approval ?? null }))
}

/** @throws {InvalidInputError} */
export function openingOf(json: string): Opening {
  return readOpening(JSON.parse(json), 'opening')
}

export function captureText({ orderId, settlement, evidence }: Capture): string {
  return JSON.stringify(toWire({ orderId, settlement, evidence }))
}

/** @throws {InvalidInputError} */
export function captureOf(json: string): Capture {
  return readCapture(JSON.parse(json), 'capture')
}

export function orderOf(row: Row): StoredOrder {
  const capture = optionalText(row, 'capture')
  const captured = optionalText(row, 'captured')
  return {
    orderId: hex(row, 'order_id'),
    opening: openingOf(text(row, 'opening')),
    attempt: hex(row, 'attempt'),
    batchKey: text(row, 'batch_key'),
    tries: integer(row, 'tries'),
    chain: text(row, 'chain') as StoredOrder['chain'],
    refused: optionalText(row, 'refused'),
    isOpening: row['open_entry'] !== null,
    isClosing: row['close_entry'] !== null,
    openedTx: optionalHex(row, 'opened_tx'),
    openedBlock: optionalInteger(row, 'opened_block'),
    capture: capture === undefined ? undefined : captureOf(capture),
    captureFailure: optionalText(row, 'capture_failure'),
    closedTx: optionalHex(row, 'closed_tx'),
    captured: captured === undefined ? undefined : BigInt(captured),
  }
}

export async function readOrder(sql: Statements, orderId: Hex): Promise<StoredOrder | undefined> {
  const [row] = await sql.all('SELECT * FROM orders WHERE order_id = ?', [orderId])
  return row === undefined ? undefined : orderOf(row)
}

/** Entries with their attempts, in the order of `where`. */
export async function readEntries(
  sql: Statements,
  { where, values }: { readonly where: string; readonly values: readonly SqlValue[] },
): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  for (const row of await sql.all(`SELECT * FROM entries WHERE ${where}`, values)) {
    const id = text(row, 'id')
    const attempts = await sql.all('SELECT * FROM attempts WHERE entry_id = ? ORDER BY place', [id])
    entries.push({
      id,
      kind: text(row, 'kind') as EntryKind,
      nonce: integer(row, 'nonce'),
      data: hex(row, 'data'),
      gasLimit: amount(row, 'gas_limit'),
      orderIds: JSON.parse(text(row, 'order_ids')) as readonly Hex[],
      attempts: attempts.map((attempt) => ({
        hash: hex(attempt, 'hash'),
        raw: hex(attempt, 'raw'),
        maxFeePerGas: amount(attempt, 'max_fee_per_gas'),
        maxPriorityFeePerGas: amount(attempt, 'max_priority_fee_per_gas'),
        signedAtMs: integer(attempt, 'signed_at_ms'),
      })),
    })
  }
  return entries
}

/** `(?, ?, ?)`, for so many values. */
export function placeholders(values: readonly unknown[]): string {
  return `(${values.map(() => '?').join(', ')})`
}

function optionalHex(row: Row, column: string): Hex | undefined {
  return row[column] === null ? undefined : hex(row, column)
}
