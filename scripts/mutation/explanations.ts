import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MutationRunError } from './errors.js'
import type { Mutant } from './mutants.js'

export type ExplainedMutant = Pick<Mutant, 'id' | 'file' | 'scope' | 'operator' | 'before' | 'after'>

/** Survivors that live for one reason. */
export interface Explanation {
  readonly title: string
  readonly why: string
  readonly mutants: readonly ExplainedMutant[]
}

const EXPLANATIONS = 'scripts/mutation/survivors.json'
const DOCS = 'docs/MUTATION.md'
const BEGIN =
  '<!-- survivors: written by `npm run test:mutation -- --write-docs` from scripts/mutation/survivors.json -->'
const END = '<!-- end of survivors -->'

export function readExplanations(root: string): Explanation[] {
  return JSON.parse(readFileSync(join(root, EXPLANATIONS), 'utf8')) as Explanation[]
}

function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``
}

function render(explanations: readonly Explanation[]): string {
  const sections = explanations.map(({ title, why, mutants }) => {
    const rows = mutants.map(({ id, file, scope, before, after }) => {
      const place = `${file.replace('contracts/', '')} ${scope}`
      return `| ${id} | ${place} | ${code(before)} | ${code(after)} |`
    })
    return [`### ${title}`, '', why, '', '| id | place | line | mutant |', '|---|---|---|---|', ...rows].join('\n')
  })
  return sections.join('\n\n')
}

function split(root: string): { head: string; body: string; tail: string } {
  const text = readFileSync(join(root, DOCS), 'utf8')
  const [head, rest] = text.split(BEGIN)
  const [body, tail] = rest?.split(END) ?? []
  if (head === undefined || body === undefined || tail === undefined) {
    throw new MutationRunError('EXPLANATIONS_INVALID', `${DOCS} must hold the lines\n${BEGIN}\n${END}`)
  }
  return { head, body, tail }
}

export function writeDocs(root: string, explanations: readonly Explanation[]): void {
  const { head, tail } = split(root)
  writeFileSync(join(root, DOCS), `${head}${BEGIN}\n\n${render(explanations)}\n\n${END}${tail}`)
}

/** @throws {MutationRunError} where the document tells another story than the explanations */
export function checkDocs(root: string, explanations: readonly Explanation[]): void {
  if (split(root).body.trim() === render(explanations).trim()) return
  throw new MutationRunError(
    'EXPLANATIONS_INVALID',
    `${DOCS} does not list what ${EXPLANATIONS} explains. Run npm run test:mutation -- --write-docs`,
  )
}
