import { compile, type AstNode, type Patch } from './compile.js'
import { ProveError } from './errors.js'
import { askZ3 } from './z3.js'

export type Verdict = 'proved' | 'refuted' | 'not decided'

/** What solc passes to z3 itself, where it can start processes: its Horn solver finds invariants faster with them. */
const SPACER = [
  'rewriter.pull_cheap_ite=true',
  'fp.spacer.q3.use_qgen=true',
  'fp.spacer.mbqi=false',
  'fp.spacer.ground_pobs=false',
]

const SAFE = '9576'
const VIOLATED = /^CHC: Assertion violation happens here/

export interface CheckInput {
  readonly file: string
  readonly contract: string
  readonly seconds: number
  readonly patches?: readonly Patch[]
}

/**
 * What solc's model checker (CHC engine) says of each assertion of a contract, by the name of the function that holds
 * it. The compiler comes from npm without a solver in it, and asks for one by callback.
 */
export function checkModel({ file, contract, seconds, patches = [] }: CheckInput): ReadonlyMap<string, Verdict> {
  const output = compile({
    files: [file],
    settings: {
      outputSelection: { [file]: { '': ['ast'] } },
      modelChecker: {
        engine: 'chc',
        solvers: ['smtlib2'],
        contracts: { [file]: [contract] },
        targets: ['assert'],
        showProvedSafe: true,
        showUnproved: true,
        showUnsupported: true,
        timeout: seconds * 1000,
      },
    },
    patches,
    smtSolver: (query) => ({ contents: askZ3(query, seconds, SPACER) }),
  })
  const functions = functionsOf(output.sources?.[file]?.ast, contract)
  const verdicts = new Map<string, Verdict>()
  for (const { errorCode, message, sourceLocation } of output.errors ?? []) {
    const at = sourceLocation?.file === file ? sourceLocation.start : undefined
    const holder = functions.find((each) => at !== undefined && each.start <= at && at < each.end)
    if (holder === undefined || !message.startsWith('CHC: ')) continue
    const verdict = errorCode === SAFE ? 'proved' : VIOLATED.test(message) ? 'refuted' : 'not decided'
    // Several messages may be about one assertion; the worse one counts.
    if (verdicts.get(holder.name) !== 'refuted') verdicts.set(holder.name, verdict)
  }
  return verdicts
}

interface Span {
  readonly name: string
  readonly start: number
  readonly end: number
}

function functionsOf(ast: AstNode | undefined, contract: string): readonly Span[] {
  const definition = ast?.nodes?.find((each) => each.nodeType === 'ContractDefinition' && each.name === contract)
  if (definition === undefined) throw new ProveError(`there is no contract ${contract} to check`)
  return (definition.nodes ?? [])
    .filter((each) => each.nodeType === 'FunctionDefinition')
    .map(({ name = '', src }) => {
      const [start = 0, length = 0] = src.split(':').map(Number)
      return { name, start, end: start + length }
    })
}
