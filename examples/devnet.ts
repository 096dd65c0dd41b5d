import { startDevnet } from '@opg/devnet'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startFacilitator } from '../scripts/demo/facilitatorProcess.js'
import { startNode } from '../scripts/demo/nodeProcess.js'
import { prepareWorld } from '../scripts/demo/world.js'

// A local chain with everything deployed, a facilitator, a node that sells a model, a payer that owns 10 OPG and a key for
// a seller. Until Ctrl-C.
const stopped = new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve))
const directory = await mkdtemp(join(tmpdir(), 'opg-devnet-'))
const devnet = await startDevnet()
try {
  const world = await prepareWorld(devnet, directory)
  const facilitator = await startFacilitator(world, directory)
  const node = await startNode(world, { directory, facilitatorUrl: facilitator.url })
  const payer = devnet.wallets[9]
  await devnet.mint(payer.address, 10n * 10n ** 18n)
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(directory, name)
    await writeFile(path, text, { mode: 0o600 })
    return path
  }

  console.log(`export RPC_URL=${devnet.rpcUrl}`)
  console.log(`export NODE_URL=${node.url}`)
  console.log(`export FACILITATOR_URL=${facilitator.url}`)
  console.log(`export ESCROW=${devnet.deployment.escrow}`)
  console.log(`export DEPLOYMENT_FILE=${await file('manifest.json', JSON.stringify(devnet.deployment, undefined, 2))}`)
  console.log(`export PAYER_KEY_FILE=${await file('payer.key', payer.privateKey)}`)
  console.log(`export SELLER_KEY_FILE=${await file('seller.key', world.shopkeeper.privateKey)}`)
  console.error('· running until Ctrl-C; give these lines to another terminal')
  await stopped
  await node.stop()
  await facilitator.stop()
} finally {
  await devnet.stop()
  await rm(directory, { recursive: true, force: true })
}
