import type { Artifact, Artifacts } from 'hardhat/types'
import { type CompilerOutput, compile, errorsOf } from './solc.js'
import type { Sources } from './sources.js'

/** Thrown where changed contracts do not compile. */
export class ChangeInvalidError extends Error {
  static readonly prefix = 'The changed contracts do not compile'
  readonly code = 'CHANGE_INVALID'

  constructor(compilerMessage: string) {
    super(`${ChangeInvalidError.prefix}:\n${compilerMessage}`)
    this.name = 'ChangeInvalidError'
  }
}

type Compiled = NonNullable<CompilerOutput['contracts']>[string][string]

/** Text of files that differ from what is on disk. */
type Changes = ReadonlyMap<string, string>

/** The compiler's settings, as Hardhat's configuration has them. */
export type Settings = Readonly<Record<string, unknown>>

/**
 * Stands in front of Hardhat's artifacts. A contract of the project is compiled when a test first asks for it, without
 * the metadata, which would make any two sources differ. All of them are, changed or not: some hold the code of others,
 * and tests compare it.
 */
export class ChangedArtifacts {
  readonly #original: Artifacts['readArtifact']
  readonly #unchanged = new Map<Settings, Map<string, Compiled>>()
  #changes: Changes = new Map()
  #settings: Settings = {}
  #compiled = new Map<string, Compiled>()
  #asked = new Set<string>()

  constructor(
    artifacts: Artifacts,
    private readonly sources: Sources,
  ) {
    this.#original = artifacts.readArtifact.bind(artifacts)
    artifacts.readArtifact = (name: string) => this.#read(name)
  }

  /** What contracts are compiled from, and how, from here on. */
  set(changes: Changes, settings: Settings): void {
    this.#settings = settings
    this.#changes = changes
    this.#compiled = new Map()
  }

  /** Whether a contract's code is the same with the changes as without. @throws {ChangeInvalidError} */
  isUnchanged(contract: string): boolean {
    const unchanged = this.#compileUnchanged(contract)
    const { evm } = this.#compileChanged(contract)
    return (
      evm.bytecode.object === unchanged.evm.bytecode.object &&
      evm.deployedBytecode.object === unchanged.evm.deployedBytecode.object
    )
  }

  /** Bytes of a contract's deployed code with the changes. @throws {ChangeInvalidError} */
  lengthOf(contract: string): number {
    return this.#compileChanged(contract).evm.deployedBytecode.object.length / 2
  }

  /** Names that were asked for since the last call. */
  takeAsked(): string[] {
    const asked = [...this.#asked]
    this.#asked = new Set()
    return asked
  }

  async #read(fullName: string): Promise<Artifact> {
    const artifact = await this.#original(fullName)
    const name = artifact.contractName
    this.#asked.add(name)
    const file = this.sources.fileOf.get(name)
    if (file?.startsWith('contracts/') !== true) return artifact
    const { abi, evm } = this.#isAffected(file) ? this.#compileChanged(name) : this.#compileUnchanged(name)
    return {
      ...artifact,
      abi: [...abi],
      bytecode: `0x${evm.bytecode.object}`,
      deployedBytecode: `0x${evm.deployedBytecode.object}`,
    }
  }

  #isAffected(file: string): boolean {
    const closure = this.sources.closureOf(file)
    return [...this.#changes.keys()].some((changed) => closure.has(changed))
  }

  /** Compiled once by each settings. */
  #compileUnchanged(contract: string): Compiled {
    const bySettings = this.#unchanged.get(this.#settings) ?? new Map<string, Compiled>()
    this.#unchanged.set(this.#settings, bySettings)
    const unchanged = bySettings.get(contract) ?? this.#compile(contract, this.sources.text)
    bySettings.set(contract, unchanged)
    return unchanged
  }

  #compileChanged(contract: string): Compiled {
    const known = this.#compiled.get(contract)
    if (known) return known
    const fresh = this.#compile(contract, new Map([...this.sources.text, ...this.#changes]))
    this.#compiled.set(contract, fresh)
    return fresh
  }

  #compile(contract: string, text: ReadonlyMap<string, string>): Compiled {
    const file = this.sources.fileOf.get(contract) ?? contract
    const output = compile({
      language: 'Solidity',
      sources: Object.fromEntries(
        [...this.sources.closureOf(file)].map((path) => [path, { content: text.get(path) ?? '' }]),
      ),
      settings: {
        ...this.#settings,
        metadata: { bytecodeHash: 'none', appendCBOR: false },
        outputSelection: { [file]: { [contract]: ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
      },
    })
    const compiled = output.contracts?.[file]?.[contract]
    if (!compiled) throw new ChangeInvalidError(errorsOf(output).join('\n'))
    return compiled
  }
}
