#!/usr/bin/env node
// npm links a command when it installs, which is before the first build: so what it links is here and not in dist.
import process from 'node:process'

try {
  await import('../dist/cli.js')
} catch (error) {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error
  process.stderr.write(`opg-node is not built yet: run npm run build first. (${error.message})\n`)
  process.exitCode = 1
}
