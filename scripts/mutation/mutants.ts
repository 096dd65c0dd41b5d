import { createHash } from 'node:crypto'
import { type AstNode, textAt, walk } from '../solidity/ast.js'
import { SourceInvalidError } from '../solidity/errors.js'
import { SOLIDITY_OPERATORS } from './operators/solidity.js'
import type { Edit } from './operators/types.js'
import { YUL_OPERATORS } from './operators/yul.js'
import { type Sources, targetsAmong } from '../solidity/sources.js'

/** A broken copy of one file. */
export interface Mutant {
  /** Hash of file, function, operator and change: stays when lines move. */
  readonly id: string
  readonly file: string
  /** Function around the change, or the contract where there is none. */
  readonly scope: string
  readonly operator: string
  /** The changed lines, spaces collapsed and without comments. */
  readonly before: string
  readonly after: string
  /** From 1. For the reader; not part of the identity. */
  readonly line: number
  readonly edit: Edit
}

const OPERATORS = [...SOLIDITY_OPERATORS, ...YUL_OPERATORS]
const SCOPES = new Set(['FunctionDefinition', 'ModifierDefinition', 'ContractDefinition'])
const LINE_FEED = 0x0a

/** Every mutant of the contracts, in the order of the source. */
export function allMutants(sources: Sources): Mutant[] {
  return targetsAmong(sources.ast.keys()).flatMap((file) => {
    const [ast, text] = [sources.ast.get(file), sources.text.get(file)]
    if (!ast || text === undefined) throw new SourceInvalidError(`The compiler did not parse ${file}`)
    return mutantsOf(file, ast, Buffer.from(text))
  })
}

function mutantsOf(file: string, ast: AstNode, source: Buffer): Mutant[] {
  const found: Omit<Mutant, 'id'>[] = []
  walk(ast, (node, above) => {
    const scope = scopeOf(above)
    for (const operator of OPERATORS) {
      for (const edit of operator({ source, node, above })) {
        found.push({
          file,
          scope,
          operator: edit.operator,
          line: lineOf(source, edit.start),
          edit,
          ...lines(source, edit),
        })
      }
    }
  })
  const seen = new Map<string, number>()
  return found.map((mutant) => {
    const key = [mutant.file, mutant.scope, mutant.operator, mutant.before, mutant.after].join('\n')
    const count = seen.get(key) ?? 0
    seen.set(key, count + 1)
    return { ...mutant, id: hashOf(count === 0 ? key : `${key}\n${String(count)}`) }
  })
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 10)
}

/** The file with the mutant in it. */
export function mutatedText(source: string, { edit }: Pick<Mutant, 'edit'>): string {
  const bytes = Buffer.from(source)
  return Buffer.concat([bytes.subarray(0, edit.start), Buffer.from(edit.text), bytes.subarray(edit.end)]).toString(
    'utf8',
  )
}

function scopeOf(above: readonly AstNode[]): string {
  const scope = above.findLast(({ nodeType }) => SCOPES.has(nodeType))
  if (!scope) return ''
  const name = textAt(scope, 'name') ?? ''
  return name === '' ? (textAt(scope, 'kind') ?? '') : name
}

function lineOf(source: Buffer, at: number): number {
  return source.subarray(0, at).filter((byte) => byte === LINE_FEED).length + 1
}

/** The lines that an edit touches, before and after it. */
function lines(source: Buffer, edit: Edit): { before: string; after: string } {
  const from = source.lastIndexOf(LINE_FEED, edit.start - 1) + 1
  const next = source.indexOf(LINE_FEED, edit.end)
  const to = next < 0 ? source.length : next
  const collapse = (...parts: (Buffer | string)[]): string =>
    parts
      .join('')
      .replaceAll(/\/\/.*$/gm, '')
      .replaceAll(/\s+/g, ' ')
      .trim()
  return {
    before: collapse(source.subarray(from, to)),
    after: collapse(source.subarray(from, edit.start), edit.text, source.subarray(edit.end, to)),
  }
}
