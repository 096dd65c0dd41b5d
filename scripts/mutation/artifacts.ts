import type { Artifact, Artifacts } from 'hardhat/types'
import { type CompilerOutput, compile, errorsOf } from './solc.js'
import type { Sources } from './sources.js'

/** Thrown where a mutant does not compile. */
export class MutantInvalidError extends Error {
  readonly code = 'MUTANT_INVALID'

  constructor(readonly compilerMessage: string) {
    super(`The mutant does not compile:\n${compilerMessage}`)
    this.name = 'MutantInvalidError'
  }
}

type Compiled = NonNullable<CompilerOutput['contracts']>[string][string]

/**
 * Stands in front of Hardhat's artifacts: a contract that a mutant may change is compiled when a test first asks for it,
 * by the project's own settings less the metadata, which would make any two sources differ.
 */
export class MutableArtifacts {
  readonly #original: Artifacts['readArtifact']
  readonly #baseline = new Map<string, Compiled>()
  #mutant: { file: string; text: string; compiled: Map<string, Compiled> } | undefined
  #asked = new Set<string>()

  constructor(
    artifacts: Artifacts,
    private readonly sources: Sources,
    private readonly settings: Readonly<Record<string, unknown>>,
  ) {
    this.#original = artifacts.readArtifact.bind(artifacts)
    artifacts.readArtifact = (name: string) => this.#read(name)
  }

  /** The mutant that is compiled from here on; none gives the contracts as they are. */
  set(mutant: { readonly file: string; readonly text: string } | undefined): void {
    this.#mutant = mutant && { ...mutant, compiled: new Map() }
  }

  /** Whether a contract's code is the same with the mutant as without. @throws {MutantInvalidError} */
  isUnchanged(contract: string): boolean {
    const known = this.#baseline.get(contract)
    const baseline = known ?? this.#compile(contract, this.sources.text)
    this.#baseline.set(contract, baseline)
    const mutant = this.#compileMutant(contract)
    return (
      mutant.evm.bytecode.object === baseline.evm.bytecode.object &&
      mutant.evm.deployedBytecode.object === baseline.evm.deployedBytecode.object
    )
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
    if (!this.#mutant || !this.#isAffected(name)) return artifact
    const { abi, evm } = this.#compileMutant(name)
    return {
      ...artifact,
      abi: [...abi],
      bytecode: `0x${evm.bytecode.object}`,
      deployedBytecode: `0x${evm.deployedBytecode.object}`,
    }
  }

  #isAffected(contract: string): boolean {
    const file = this.sources.fileOf.get(contract)
    return file !== undefined && this.#mutant !== undefined && this.sources.closureOf(file).has(this.#mutant.file)
  }

  #compileMutant(contract: string): Compiled {
    if (!this.#mutant) return this.#compile(contract, this.sources.text)
    const { file, text, compiled } = this.#mutant
    const known = compiled.get(contract)
    if (known) return known
    const fresh = this.#compile(contract, new Map([...this.sources.text, [file, text]]))
    compiled.set(contract, fresh)
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
        ...this.settings,
        metadata: { bytecodeHash: 'none', appendCBOR: false },
        outputSelection: { [file]: { [contract]: ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
      },
    })
    const compiled = output.contracts?.[file]?.[contract]
    if (!compiled) throw new MutantInvalidError(errorsOf(output).join('\n'))
    return compiled
  }
}
