#!/usr/bin/env node
/**
 * npm's solc, as forge calls a native one: `--version`, and `--standard-json` with the input on stdin. So the tests in
 * Solidity need nothing that npm does not bring, and have the compiler that the contracts have.
 */
import { createRequire } from 'node:module'
import process from 'node:process'
import { text } from 'node:stream/consumers'

const solc = createRequire(import.meta.url)('solc')
const options = process.argv.slice(2)

if (options.includes('--version')) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`)
} else if (options.includes('--standard-json')) {
  // Written whole before the process ends, however long: nothing here ends it by force.
  process.stdout.write(solc.compile(await text(process.stdin)))
} else {
  process.stderr.write(`Expected --version or --standard-json, found: ${options.join(' ')}\n`)
  process.exitCode = 1
}
