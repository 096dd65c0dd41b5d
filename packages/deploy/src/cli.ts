#!/usr/bin/env node
import { resolve } from 'node:path'
import { runDeploy } from './runDeploy.js'

process.exitCode = await runDeploy(process.argv.slice(2), {
  env: process.env,
  root: resolve(import.meta.dirname, '../../..'),
  stdout: (line) => process.stdout.write(`${line}\n`),
  stderr: (line) => process.stderr.write(`${line}\n`),
})
