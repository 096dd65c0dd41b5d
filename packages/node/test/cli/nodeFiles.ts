import type { Devnet } from '@opg/devnet'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Wallet } from 'ethers'

export const API_KEY = 'sk-an-api-key-of-the-upstream'

export interface NodeFiles {
  readonly environment: Readonly<Record<string, string>>
  /** What must never show up in any output. */
  readonly secrets: readonly string[]
  remove(): Promise<void>
}

/** A folder with everything that a node needs, its enclave's key registered, and the environment that names it. */
export async function createNodeFiles(
  devnet: Devnet,
  { node, upstreamUrl }: { readonly node: Wallet; readonly upstreamUrl: string },
): Promise<NodeFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'opg-node-'))
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  await (
    await devnet.contracts.teeRegistry.connect(node).register(spki, node.address, 'https://node.example', 1)
  ).wait()

  const files = {
    config: join(folder, 'config.json'),
    teeKey: join(folder, 'tee.pem'),
    nodeKey: join(folder, 'node.key'),
    manifest: join(folder, 'deployment.json'),
  }
  const model = fileURLToPath(new URL('../../models/languages/languages.onnx', import.meta.url))
  await writeFile(
    files.config,
    JSON.stringify({
      deploymentFile: 'deployment.json',
      database: 'books.sqlite',
      models: [
        { kind: 'onnx', name: 'languages', file: model, prices: { perRequest: '0.001', inputPerMillion: '1' } },
        {
          kind: 'openai',
          name: 'chat',
          baseUrl: upstreamUrl,
          upstreamModel: 'tiny-llm',
          apiKeyEnv: 'UPSTREAM_KEY',
          prices: { perRequest: '0.0001', inputPerMillion: '1', outputPerMillion: '2' },
          maxOutputTokens: 1000,
          idleTimeoutSeconds: 1,
        },
      ],
      // Settling is left to the command, so that tests decide when.
      settleIntervalSeconds: 3600,
      refreshSeconds: 0,
    }),
  )
  await writeFile(files.teeKey, pem)
  await writeFile(files.nodeKey, `${node.privateKey}\n`)
  await writeFile(files.manifest, JSON.stringify(devnet.deployment))
  return {
    environment: {
      OPG_NODE_CONFIG: files.config,
      OPG_NODE_RPC_URL: devnet.rpcUrl,
      OPG_NODE_PRIVATE_KEY_FILE: files.nodeKey,
      OPG_NODE_TEE_KEY_FILE: files.teeKey,
      OPG_NODE_PORT: '0',
      UPSTREAM_KEY: API_KEY,
    },
    secrets: [
      node.privateKey,
      node.privateKey.slice(2),
      API_KEY,
      ...pem.split('\n').filter((line) => line.length > 40),
    ],
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
