import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { trackTransaction } from '@nomicfoundation/ignition-core'
import type { Rpc } from './rpc.js'
import type { SignedTransaction } from './signingRpc.js'

/** Where a deployment began. */
export interface Origin {
  /** Tells one local chain from the next, which has the same id. */
  readonly genesisHash: string
  /** No contract of the deployment is older. */
  readonly block: number
}

/**
 * Ignition's journal of one chain, and beside it `origin.json` and `sent.jsonl`: the hashes of transactions, written
 * before they are sent. Ignition writes a hash down only afterwards, so a kill in between would leave a contract on
 * chain that the next run deploys again.
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

  origin(): Origin | undefined {
    return existsSync(this.originPath) ? (readJson(this.originPath) as Origin) : undefined
  }

  begin(origin: Origin): void {
    mkdirSync(this.folder, { recursive: true })
    writeFileSync(this.originPath, JSON.stringify(origin), { flush: true })
  }

  forget(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  willSend({ nonce, hash }: SignedTransaction): void {
    appendFileSync(this.sentPath, `${JSON.stringify({ nonce, hash })}\n`, { flush: true })
  }

  /** Tells Ignition of transactions that reached the chain before their hash reached its journal. */
  async recover(rpc: Rpc): Promise<void> {
    const journaled = new Set(
      this.lines(this.ignitionPath)
        .filter(isSend)
        .map(({ nonce }) => nonce),
    )
    for (const line of this.lines(this.sentPath)) {
      if (!isSent(line) || journaled.has(line.nonce)) continue
      const known = await rpc.request({ method: 'eth_getTransactionByHash', params: [line.hash] })
      // Signed but never sent, or dropped: Ignition sends it again.
      if (known === null) continue
      await trackTransaction(this.folder, line.hash, rpc, 1)
      journaled.add(line.nonce)
    }
  }

  private lines(path: string): readonly unknown[] {
    if (!existsSync(path)) return []
    const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean)
    return lines.map((line): unknown => JSON.parse(line))
  }
}

function isSend(line: unknown): line is { readonly type: string; readonly nonce: number } {
  return hasType(line) && line.type === 'TRANSACTION_SEND' && 'nonce' in line
}

function hasType(line: unknown): line is { readonly type: unknown } {
  return typeof line === 'object' && line !== null && 'type' in line
}

function isSent(line: unknown): line is { readonly nonce: number; readonly hash: string } {
  return typeof line === 'object' && line !== null && 'nonce' in line && 'hash' in line
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}
