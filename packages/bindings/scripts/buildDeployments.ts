import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { writeGenerated } from './writeGenerated.js'

/** Writes the addresses of all manifests `deployments/<chainId>.json`. */
export function buildDeployments(root: string, generated: string): void {
  const folder = resolve(root, 'deployments')
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => /^\d+\.json$/.test(name)) : []
  const entries = files
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
    .map((name) => `  ${name.replace('.json', '')}: ${readManifest(folder, name)},\n`)
  writeGenerated(
    resolve(generated, 'deployments.ts'),
    `// Generated from the manifests by scripts/buildDeployments.ts.
import type { Deployment } from '@opg/protocol'

/** Where the contracts are, by chain id. */
export const deployments: Readonly<Record<number, Deployment>> = {\n${entries.join('')}}\n`,
  )
}

function readManifest(folder: string, name: string): string {
  const manifest = JSON.parse(readFileSync(resolve(folder, name), 'utf8')) as { readonly chainId: unknown }
  if (`${String(manifest.chainId)}.json` !== name) {
    throw new Error(`deployments/${name} is of chain ${String(manifest.chainId)}: its name must be its chain id`)
  }
  return JSON.stringify(manifest)
}
