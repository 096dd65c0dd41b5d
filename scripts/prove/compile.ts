import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { ProveError } from './errors.js'
import { deployedFunctions, type YulFunction, type YulObject } from './yul/ast.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Replaces a passage of a source before it is compiled: on disk nothing changes. */
export interface Patch {
  readonly file: string
  /** Must occur exactly once. */
  readonly find: string
  readonly replace: string
}

interface CompilerMessage {
  readonly severity: 'error' | 'warning' | 'info'
  readonly errorCode?: string
  readonly message: string
  readonly formattedMessage: string
  readonly sourceLocation?: { readonly file: string; readonly start: number; readonly end: number }
}

export interface AstNode {
  readonly nodeType: string
  readonly id: number
  /** start:length:file, in bytes */
  readonly src: string
  readonly name?: string
  readonly nodes?: readonly AstNode[]
}

interface ContractOutput {
  readonly irAst?: YulObject
  readonly evm?: { readonly bytecode: { readonly object: string } }
}

export interface CompilerOutput {
  readonly errors?: readonly CompilerMessage[]
  readonly contracts?: Readonly<Record<string, Readonly<Record<string, ContractOutput>>>>
  readonly sources?: Readonly<Record<string, { readonly ast: AstNode }>>
}

interface Callbacks {
  import(path: string): { readonly contents: string } | { readonly error: string }
  smtSolver?(query: string): { readonly contents: string } | { readonly error: string }
}

interface Compiler {
  compile(input: string, callbacks: Callbacks): string
}

const requireFrom = createRequire(import.meta.url)

export interface CompilerInput {
  readonly files: readonly string[]
  readonly settings: Readonly<Record<string, unknown>>
  readonly patches?: readonly Patch[]
  readonly smtSolver?: Callbacks['smtSolver']
}

/** Compiles files of this repository, paths relative to its root, by npm's solc. @throws {ProveError} on an error */
export function compile({ files, settings, patches = [], smtSolver }: CompilerInput): CompilerOutput {
  const solc = requireFrom('solc') as Compiler
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries(files.map((file) => [file, { content: readSource(file, patches) }])),
    settings: { evmVersion: 'prague', ...settings },
  }
  const callbacks: Callbacks = {
    import: (path) => {
      try {
        return { contents: readSource(path, patches) }
      } catch (error) {
        if (error instanceof ProveError) throw error
        return { error: `${path} was not found` }
      }
    },
    ...(smtSolver === undefined ? {} : { smtSolver }),
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input), callbacks)) as CompilerOutput
  const failures = (output.errors ?? []).filter((each) => each.severity === 'error')
  if (failures.length > 0) throw new ProveError(failures.map((each) => each.formattedMessage).join('\n'))
  return output
}

export function readSource(path: string, patches: readonly Patch[] = []): string {
  let text = readFileSync(path.startsWith('@') ? requireFrom.resolve(path) : `${ROOT}${path}`, 'utf8')
  for (const { file, find, replace } of patches) {
    if (file !== path) continue
    if (text.split(find).length !== 2) {
      throw new ProveError(`${path} must hold "${find}" exactly once: say anew how to break it`)
    }
    text = text.replace(find, () => replace)
  }
  return text
}

/** The code of one contract, as solc hands it to its optimizer. */
export interface ContractCode {
  readonly functions: ReadonlyMap<string, YulFunction>
  /** Name in that code of a Solidity function, given as `Contract.function`. */
  find(name: string): string
  /** The other way round; what is not a function of Solidity keeps its name. */
  nameOf(codeName: string): string
}

export function compileContract(file: string, contract: string, patches: readonly Patch[] = []): ContractCode {
  const output = compile({
    files: [file],
    settings: { viaIR: true, outputSelection: { [file]: { [contract]: ['irAst'] }, '*': { '': ['ast'] } } },
    patches,
  })
  const ir = output.contracts?.[file]?.[contract]?.irAst
  if (ir === undefined) throw new ProveError(`${file} holds no contract ${contract}`)
  const names = new Map<string, string[]>()
  for (const source of Object.values(output.sources ?? {})) {
    for (const definition of source.ast.nodes ?? []) {
      for (const member of definition.nodes ?? []) {
        if (member.nodeType !== 'FunctionDefinition') continue
        const name = `${definition.name ?? ''}.${member.name ?? ''}`
        names.set(name, [...(names.get(name) ?? []), `fun_${member.name ?? ''}_${String(member.id)}`])
      }
    }
  }
  const functions = deployedFunctions(ir)
  const find = (name: string): string => {
    const found = (names.get(name) ?? []).filter((each) => functions.has(each))
    const [only] = found
    if (only === undefined || found.length !== 1) {
      throw new ProveError(`${contract} must call one function ${name}, and ${String(found.length)} were found`)
    }
    return only
  }
  const nameOf = (codeName: string): string => {
    const plain = codeName.replace(/_inner$/, '') // the body of a function with modifiers
    return [...names].find(([, found]) => found.includes(plain))?.[0] ?? codeName
  }
  return { functions, find, nameOf }
}
