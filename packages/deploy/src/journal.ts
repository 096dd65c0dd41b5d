import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { trackTransaction } from '@nomicfoundation/ignition-core'
import type { Rpc } from './rpc.js'
import type { SignedTransaction } from './signingRpc.js'

/**
 * Ignition's journal of one chain, and beside it `origin.json` and `sent.jsonl`: signed transactions, written before they
 * are sent. Ignition writes down that it is going to send, then sends, then writes the hash: killed in between, it would
 * ask for that hash.
 */
export class Journal {
  private readonly originPath: string
  private readonly sentPath: string
  private readonly ignitionPath: string

  constructor(readonly folder: string) {
    this.originPath = resolve(folder, 'origin.json')
    this.sentPath = resolve(folder, 'sent.jsonl')
    this.ignitionPath = resolve(folder, 'journal.jsonl')
  }

  /** The block at which the first run began: no contract of the deployment is older. */
  origin(): number | undefined {
    if (!existsSync(this.originPath)) return undefined
    return (JSON.parse(readFileSync(this.originPath, 'utf8')) as { readonly block: number }).block
  }

  begin(block: number): void {
    mkdirSync(this.folder, { recursive: true })
    writeFileSync(this.originPath, JSON.stringify({ block }), { flush: true })
  }

  /** Whether the chain knows any of its transactions. One that knows none was started anew since. */
  async isOf(rpc: Rpc): Promise<boolean> {
    for (const { hash } of this.lines(this.sentPath).filter(isSent)) {
      if ((await rpc.request({ method: 'eth_getTransactionByHash', params: [hash] })) !== null) return true
    }
    return false
  }

  forget(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  willSend({ nonce, hash, signed }: SignedTransaction): void {
    appendFileSync(this.sentPath, `\n${JSON.stringify({ nonce, hash, signed })}`, { flush: true })
  }

  /** Brings Ignition's journal up to what was sent, or surely was not, before a kill. */
  async recover(rpc: Rpc): Promise<void> {
    // Ignition rewrites this list in place, and reads it back; nothing else needs it.
    const addresses = resolve(this.folder, 'deployed_addresses.json')
    if (existsSync(addresses) && parsed(readFileSync(addresses, 'utf8')) === undefined) rmSync(addresses)

    const sent = this.lines(this.sentPath).filter(isSent)
    const journaled = new Set(this.lines(this.ignitionPath).filter(ofType('TRANSACTION_SEND')).map(nonceOf))
    const signed = new Set(sent.map(nonceOf))
    this.dropLines((line) => isPrepare(line) && !signed.has(nonceOf(line)) && !journaled.has(nonceOf(line)))
    for (const transaction of sent) {
      if (journaled.has(transaction.nonce)) continue
      const known = await rpc.request({ method: 'eth_getTransactionByHash', params: [transaction.hash] })
      // The same bytes again: at most one of them counts.
      if (known === null) await rpc.request({ method: 'eth_sendRawTransaction', params: [transaction.signed] })
      await trackTransaction(this.folder, transaction.hash, rpc, 1)
    }
    this.forgetEarlyConfirmations()
  }

  /**
   * Ignition resumes counting nonces from the highest one that is not confirmed, and stops if a later one is confirmed
   * already. What was confirmed before its turn is therefore taken as sent, and asked for again.
   */
  private forgetEarlyConfirmations(): void {
    const lines = this.lines(this.ignitionPath)
    const confirmed = new Set(lines.filter(ofType('TRANSACTION_CONFIRM', 'futureId')).map(({ futureId }) => futureId))
    const sent = lines.filter(ofType('TRANSACTION_SEND'))
    const firstOpen = Math.min(...sent.filter(({ futureId }) => !confirmed.has(futureId)).map(nonceOf))
    const early = new Set(sent.filter(({ nonce }) => nonce > firstOpen).map(({ futureId }) => futureId))
    const isConfirmation = (line: unknown): boolean =>
      CONFIRMATIONS.some((type) => ofType(type, 'futureId')(line) && early.has(line.futureId))
    this.dropLines(isConfirmation)
  }

  private dropLines(isDropped: (line: unknown) => boolean): void {
    const kept = this.lines(this.ignitionPath).filter((line) => !isDropped(line))
    if (kept.length === rawLines(this.ignitionPath).length) return
    writeFileSync(`${this.ignitionPath}.tmp`, kept.map((line) => `\n${JSON.stringify(line)}`).join(''), { flush: true })
    renameSync(`${this.ignitionPath}.tmp`, this.ignitionPath)
  }

  /** The lines that were written whole: a kill may have cut one off, and then what it announced did not happen yet. */
  private lines(path: string): readonly unknown[] {
    return rawLines(path)
      .map(parsed)
      .filter((line) => line !== undefined)
  }
}

function rawLines(path: string): readonly string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const CONFIRMATIONS = ['TRANSACTION_CONFIRM', 'DEPLOYMENT_EXECUTION_STATE_COMPLETE']

interface JournalLine {
  readonly nonce: number
  readonly futureId: string
}

function ofType<M extends keyof JournalLine = keyof JournalLine>(
  type: string,
  ...members: readonly M[]
): (line: unknown) => line is Pick<JournalLine, M> {
  const needed = members.length === 0 ? ['nonce', 'futureId'] : members
  return (line): line is Pick<JournalLine, M> =>
    typeof line === 'object' &&
    line !== null &&
    'type' in line &&
    line.type === type &&
    needed.every((member) => member in line)
}

const isPrepare = ofType('TRANSACTION_PREPARE_SEND')

function isSent(line: unknown): line is Omit<SignedTransaction, 'data'> {
  return typeof line === 'object' && line !== null && 'nonce' in line && 'hash' in line && 'signed' in line
}

function nonceOf({ nonce }: { readonly nonce: number }): number {
  return nonce
}
