import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Program, startProgram } from './program.js'
import { progress } from './report.js'
import type { World } from './world.js'

const CLI = fileURLToPath(new URL('../../packages/facilitator/bin/opg-facilitator.mjs', import.meta.url))

/** Starts `opg-facilitator serve` as an operator would: settings in the environment, the key in a file. */
export async function startFacilitator({ devnet, facilitator }: World, directory: string): Promise<Program> {
  progress('starting the facilitator: opg-facilitator serve')
  const keyFile = join(directory, 'facilitator.key')
  const deploymentFile = join(directory, 'facilitator.deployment.json')
  await writeFile(keyFile, facilitator.privateKey, { mode: 0o600 })
  await writeFile(deploymentFile, JSON.stringify(devnet.deployment))
  return await startProgram(CLI, {
    PATH: process.env.PATH,
    OPG_FACILITATOR_RPC_URL: devnet.rpcUrl,
    OPG_FACILITATOR_DEPLOYMENT_FILE: deploymentFile,
    OPG_FACILITATOR_PRIVATE_KEY_FILE: keyFile,
    OPG_FACILITATOR_DB: join(directory, 'facilitator.sqlite'),
    OPG_FACILITATOR_PORT: '0',
    OPG_FACILITATOR_CAPTURE_INTERVAL_MS: '500',
    OPG_FACILITATOR_LOG_LEVEL: 'warn',
    OPG_FACILITATOR_LOG_FORMAT: 'pretty',
  })
}
