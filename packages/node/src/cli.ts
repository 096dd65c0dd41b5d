#!/usr/bin/env node
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCli } from './cli/main.js'

// The edge: all that the commands have of the world is handed in here.
const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}

process.exitCode = await runCli(process.argv.slice(2), {
  version,
  edge: {
    environment: process.env,
    stdout: (text) => {
      process.stdout.write(text)
    },
    stderr: (text) => {
      process.stderr.write(text)
    },
    onStop: (stop) => {
      process.on('SIGTERM', stop).on('SIGINT', stop)
      return () => {
        process.off('SIGTERM', stop).off('SIGINT', stop)
      }
    },
    clock: Date.now,
    random: randomBytes,
    sleep: async (ms, signal) => {
      await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
    },
    fetch,
  },
})
