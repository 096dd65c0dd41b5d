import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { DEV_MNEMONIC, LOCAL_CHAIN_ID } from '@opg/deploy'
import { anvilBinary } from './anvilBinary.js'
import { AnvilStartError } from './errors.js'

/** How the chain behaves. */
export interface AnvilOptions {
  /** Mine on this interval; without it, a block for each transaction at once. */
  readonly blockTimeSeconds?: number
  /** 0, the default, takes any free one. */
  readonly port?: number
  /** How many of the mnemonic's accounts hold the native coin. */
  readonly accounts?: number
  /** More of anvil's own arguments. */
  readonly args?: readonly string[]
}

/** A running chain process. */
export interface Anvil {
  readonly rpcUrl: string
  /** Resolves when the process is gone. */
  stop(): Promise<void>
}

const HOST = resolve(import.meta.dirname, '../bin/anvilHost.mjs')

/** Starts anvil on a port of the loopback interface; it lives no longer than this process. @throws {AnvilStartError} */
export async function startAnvil(options: AnvilOptions = {}): Promise<Anvil> {
  const child = spawn(process.execPath, [HOST, anvilBinary(), ...toArguments(options)])
  const gone = new Promise<void>((done) => {
    child.once('close', () => {
      done()
    })
  })
  const rpcUrl = await listening(child)
  return {
    rpcUrl,
    stop: async () => {
      child.stdin.end()
      await gone
    },
  }
}

function toArguments({ blockTimeSeconds, port = 0, accounts = 20, args = [] }: AnvilOptions): string[] {
  return [
    ...['--host', '127.0.0.1', '--port', String(port), '--chain-id', String(LOCAL_CHAIN_ID), '--hardfork', 'prague'],
    ...['--mnemonic', DEV_MNEMONIC, '--accounts', String(accounts)],
    ...(blockTimeSeconds === undefined ? [] : ['--block-time', String(blockTimeSeconds)]),
    ...args,
  ]
}

function listening(child: ChildProcessWithoutNullStreams): Promise<string> {
  return new Promise((done, fail) => {
    let output = ''
    const read = (chunk: Buffer): void => {
      output += chunk.toString()
      const address = /^Listening on (\S+)$/m.exec(output)?.[1]
      if (address === undefined) return
      // Its log of requests goes nowhere, but it must be read, or the pipe fills up and the chain stands still.
      for (const stream of [child.stdout, child.stderr]) stream.off('data', read).resume()
      done(`http://${address}`)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('error', (error) => {
      fail(new AnvilStartError(error.message, output))
    })
    child.once('close', (code) => {
      fail(new AnvilStartError(`it ended with exit code ${String(code)}.`, output))
    })
  })
}
