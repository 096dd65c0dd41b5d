import { createRequire } from 'node:module'
import { AnvilMissingError } from './errors.js'

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** The path of the anvil executable for this machine. @throws {AnvilMissingError} */
export function anvilBinary(): string {
  const { platform, arch } = process
  const name = `@foundry-rs/anvil-${platform}-${ARCHITECTURES[arch] ?? arch}`
  try {
    // The executables are dependencies of the package, not of this one.
    const requireFrom = createRequire(createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json'))
    return requireFrom.resolve(`${name}/bin/anvil${platform === 'win32' ? '.exe' : ''}`)
  } catch (cause) {
    throw new AnvilMissingError(`${platform}-${arch}`, { cause })
  }
}
