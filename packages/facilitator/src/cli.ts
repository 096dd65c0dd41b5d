#!/usr/bin/env node
import { processEdge } from '@opg/operator'
import { readFile } from 'node:fs/promises'
import { runCli } from './cli/main.js'

// The edge: all that the commands have of the world is handed in here.
const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}

process.exitCode = await runCli(process.argv.slice(2), { version, edge: processEdge(process) })
