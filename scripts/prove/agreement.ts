import { AbiCoder, id } from 'ethers'
import * as fc from 'fast-check'
import hardhat from 'hardhat'
import { compile, compileContract } from './compile.js'
import { ProveError } from './errors.js'
import { Subject } from './subject.js'
import { type Encoding, toSmtLib } from './yul/smt.js'
import {
  add,
  all,
  any,
  bitAnd,
  bitNot,
  bitOr,
  bitXor,
  constant,
  div,
  eq,
  fromBool,
  lessThan,
  lessThanSigned,
  mul,
  not,
  shiftLeft,
  shiftRight,
  sub,
  type Term,
  variable,
  word,
} from './yul/terms.js'
import { decide } from './z3.js'

const FILE = 'test/proofs/Exercises.sol'
const CONTRACT = 'Exercises'
const FUNCTIONS = [
  'arithmetic',
  'checkedArithmetic',
  'narrow',
  'division',
  'rawDivision',
  'bits',
  'signs',
  'choices',
  'cases',
  'memories',
  'stores',
] as const
const CALLS_EACH = 60

const EDGES = [0n, 1n, 2n, 3n, (1n << 96n) - 1n, 1n << 96n, 1n << 255n, (1n << 256n) - 2n, (1n << 256n) - 1n]
const ANY_WORD = fc.oneof(fc.constantFrom(...EDGES), fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }))

/** How the reading of compiled code and the EVM agree on one function. */
export interface Agreement {
  readonly name: string
  readonly agrees: boolean
  /** The first disagreement, cut down to what matters. */
  readonly detail: string
}

type Operation = (a: Term, b: Term) => Term

const SHIFT = word(96n)
const LOW = word((1n << 96n) - 1n)

/** What both encodings can write, by name. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  add,
  sub,
  shiftLeft: (a) => shiftLeft(a, SHIFT),
  shiftRight: (a) => shiftRight(a, SHIFT),
  mask: (a) => bitAnd(a, LOW),
  lessThan: (a, b) => fromBool(lessThan(a, b)),
}

// Products and quotients are left to integers: as bits they keep the solver busy for a minute.
const INTEGER_OPERATIONS: Readonly<Record<string, Operation>> = { ...OPERATIONS, mul, div }

const BIT_OPERATIONS: Readonly<Record<string, Operation>> = {
  ...OPERATIONS,
  bitAnd,
  bitOr,
  bitXor,
  bitNot,
  lessThanSigned: (a, b) => fromBool(lessThanSigned(a, b)),
}

const SECONDS = 60

/** How what the solver is told of each operation and what the EVM does agree, on edges. */
export function* encodings(): Generator<Agreement> {
  const both = { bits: BIT_OPERATIONS, integers: INTEGER_OPERATIONS }
  for (const [encoding, operations] of Object.entries(both) as [Encoding, typeof OPERATIONS][]) {
    for (const [name, operation] of Object.entries(operations)) {
      const [a, b] = [variable('a'), variable('b')]
      // Of constants the result is computed here, as the EVM would; of variables the solver computes it.
      const wrong = EDGES.flatMap((x) =>
        EDGES.map((y) => all(eq(a, word(x)), eq(b, word(y)), not(eq(operation(a, b), operation(word(x), word(y)))))),
      )
      const answer = decide(toSmtLib(any(...wrong), encoding), SECONDS)
      yield { name: `${name} in ${encoding}`, agrees: answer === 'unsat', detail: answer === 'unsat' ? '' : answer }
    }
  }
}

/** Runs functions on random words and on edges, here and in an EVM: what proofs read must be what runs. */
export async function* agreements(): AsyncGenerator<Agreement> {
  const subject = new Subject(compileContract(FILE, CONTRACT))
  const to = await deploy()
  for (const name of FUNCTIONS) {
    const run = await fc.check(
      fc.asyncProperty(ANY_WORD, ANY_WORD, async (a, b) => {
        const [read, ran] = [interpreted(subject, name, [a, b]), await executed(to, name, [a, b])]
        if (read !== ran) throw new ProveError(`the EVM gives ${ran}, and the reading of the code ${read}`)
      }),
      { numRuns: CALLS_EACH },
    )
    const error = run.errorInstance instanceof Error ? run.errorInstance.message : ''
    const detail = run.counterexample === null ? '' : `for ${run.counterexample.map(String).join(', ')} ${error}`
    yield { name, agrees: !run.failed, detail }
  }
}

function interpreted(subject: Subject, name: string, args: readonly bigint[]): string {
  const [ending, ...others] = subject.run(`${CONTRACT}.${name}`, args.map(word))
  if (ending === undefined || others.length > 0) throw new ProveError(`${name} must end in one way`)
  if (ending.kind === 'revert') return `revert ${hex(constant(ending.selector, 'a selector'), 8)}`
  return ending.values.map((value) => hex(constant(value, 'a result'), 64)).join()
}

async function executed(to: string, name: string, args: readonly bigint[]): Promise<string> {
  const selector = id(`${name}(uint256,uint256)`).slice(0, 10)
  const encoded = AbiCoder.defaultAbiCoder().encode(['uint256', 'uint256'], args)
  try {
    const call = [{ to, data: `${selector}${encoded.slice(2)}` }, 'latest']
    const answer: unknown = await hardhat.network.provider.send('eth_call', call)
    return String(answer)
  } catch (error) {
    const data = typeof error === 'object' && error !== null && 'data' in error ? error.data : undefined
    if (typeof data !== 'string') throw error
    return `revert ${data.slice(0, 10)}`
  }
}

async function deploy(): Promise<string> {
  const output = compile({
    files: [FILE],
    settings: { viaIR: true, outputSelection: { [FILE]: { [CONTRACT]: ['evm.bytecode.object'] } } },
  })
  const bytecode = output.contracts?.[FILE]?.[CONTRACT]?.evm?.bytecode.object ?? ''
  const [signer] = await hardhat.ethers.getSigners()
  const contract = await new hardhat.ethers.ContractFactory([], `0x${bytecode}`, signer).deploy()
  return contract.getAddress()
}

function hex(value: bigint, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`
}
