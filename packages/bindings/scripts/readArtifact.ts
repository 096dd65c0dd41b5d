import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Abi } from './toLiteral.js'

/** Bytes of a contract's code that its constructor fills in. */
export interface ImmutableSlot {
  readonly start: number
  readonly length: number
}

/** One compiled contract. */
export interface Compiled {
  readonly abi: Abi
  readonly deployedBytecode: string
  readonly immutables: readonly ImmutableSlot[]
}

interface BuildInfo {
  readonly output: {
    readonly contracts: Record<
      string,
      Record<string, { readonly evm: { readonly deployedBytecode: { readonly immutableReferences?: References } } }>
    >
  }
}
type References = Readonly<Record<string, readonly ImmutableSlot[]>>

const buildInfos = new Map<string, BuildInfo>()

/** Reads what the compiler wrote. */
export function readArtifact(root: string, source: string, name: string): Compiled {
  const folder = resolve(root, 'artifacts', source)
  if (!existsSync(folder)) throw new Error(`${source} is not compiled: run \`npx hardhat compile\` first`)
  const artifact = readJson(resolve(folder, `${name}.json`)) as { readonly abi: Abi; readonly deployedBytecode: string }
  const { buildInfo } = readJson(resolve(folder, `${name}.dbg.json`)) as { readonly buildInfo: string }
  const references = readBuildInfo(resolve(folder, buildInfo)).output.contracts[source]?.[name]?.evm.deployedBytecode
  return {
    abi: artifact.abi,
    deployedBytecode: artifact.deployedBytecode,
    immutables: Object.values(references?.immutableReferences ?? {}).flat(),
  }
}

function readBuildInfo(path: string): BuildInfo {
  const known = buildInfos.get(path)
  if (known !== undefined) return known
  const read = readJson(path) as BuildInfo
  buildInfos.set(path, read)
  return read
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}
