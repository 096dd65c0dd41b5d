import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type AstNode, nodesAt, textAt } from './ast.js'
import { SourceInvalidError } from './errors.js'
import { compile, errorsOf } from './solc.js'

/** The contracts with everything that they import, by the names that the compiler knows the files by. */
export interface Sources {
  readonly text: ReadonlyMap<string, string>
  readonly ast: ReadonlyMap<string, AstNode>
  /** File that defines a contract or library. */
  readonly fileOf: ReadonlyMap<string, string>
  /** Files that are compiled when a file is, itself included. */
  closureOf(file: string): ReadonlySet<string>
}

function solidityFiles(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.sol'))
    .map((path) => join(folder, path))
    .sort()
}

/** What is mutated: the contracts, less what is never deployed and what has no code. */
export function targetsAmong(files: Iterable<string>): string[] {
  return [...files].filter((file) => /^contracts\/(?!dev\/|interfaces\/|types\/)/.test(file)).sort()
}

/** Reads and parses `contracts/**` below `root`. */
export function loadSources(root: string): Sources {
  const text = new Map<string, string>()
  const read = (file: string): string => {
    const path = join(root, existsSync(join(root, file)) ? file : join('node_modules', file))
    const content = readFileSync(path, 'utf8')
    text.set(file, content)
    return content
  }
  const sources = Object.fromEntries(solidityFiles(root, 'contracts').map((file) => [file, { content: read(file) }]))
  const settings = { outputSelection: { '*': { '': ['ast'] } } }
  const output = compile({ language: 'Solidity', sources, settings }, read)
  const [error] = errorsOf(output)
  if (error !== undefined) throw new SourceInvalidError(`The contracts do not compile:\n${error}`)

  const ast = new Map(Object.entries(output.sources ?? {}).map(([file, source]) => [file, source.ast as AstNode]))
  const imports = new Map<string, string[]>()
  const fileOf = new Map<string, string>()
  for (const [file, unit] of ast) {
    const nodes = nodesAt(unit, 'nodes')
    imports.set(
      file,
      nodes.flatMap((node) => (node.nodeType === 'ImportDirective' ? (textAt(node, 'absolutePath') ?? []) : [])),
    )
    for (const node of nodes) {
      const name = node.nodeType === 'ContractDefinition' ? textAt(node, 'name') : undefined
      if (name !== undefined && (!fileOf.has(name) || file.startsWith('contracts/'))) fileOf.set(name, file)
    }
  }

  const closures = new Map<string, ReadonlySet<string>>()
  const closureOf = (file: string): ReadonlySet<string> => {
    const known = closures.get(file)
    if (known) return known
    const closure = new Set<string>()
    const queue = [file]
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (closure.has(next)) continue
      closure.add(next)
      queue.push(...(imports.get(next) ?? []))
    }
    closures.set(file, closure)
    return closure
  }
  return { text, ast, fileOf, closureOf }
}
