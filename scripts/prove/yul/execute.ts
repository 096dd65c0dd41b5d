import { ProveError } from '../errors.js'
import type { YulBlock, YulCall, YulExpression, YulFunction, YulLiteral, YulLoop, YulStatement } from './ast.js'
import { runInstruction } from './instructions.js'
import { fork, State } from './state.js'
import { constant, eq, fromBool, type Term, word, ZERO } from './terms.js'

/** How one path of an execution ended. */
export type Ending =
  | { readonly kind: 'return'; readonly state: State; readonly values: readonly Term[] }
  | { readonly kind: 'revert'; readonly state: State; readonly selector: Term }

/** One outcome of a function that is not looked into: what it returns, and under which name it is noted. */
export type Cut = (state: State, args: readonly Term[]) => readonly Term[]

export interface Program {
  readonly functions: ReadonlyMap<string, YulFunction>
  /** Functions by name in the code that are replaced by something simpler. */
  readonly cuts: ReadonlyMap<string, Cut>
  /** Functions by name in the code whose calls are noted as effects, under another name, and then run. */
  readonly watched: ReadonlyMap<string, string>
}

type Flow = 'next' | 'leave' | 'break' | 'continue'

/** Values of variables; replaced, not changed, so that paths do not share them. */
type Frame = ReadonlyMap<string, Term>

interface Step {
  readonly state: State
  readonly frame: Frame
  readonly flow: Flow
}

interface Value {
  readonly state: State
  readonly values: readonly Term[]
}

const LOOP_LIMIT = 64

/** Every path through a function, for arguments that are terms. Calls are followed; loops must have a known end. */
export function execute(
  program: Program,
  name: string,
  args: readonly Term[],
  from = State.fresh(),
): readonly Ending[] {
  const run = new Run(program)
  const values = run.call(name, args, from)
  return [...values.map((value) => ({ kind: 'return' as const, ...value })), ...run.reverted]
}

class Run {
  readonly reverted: Ending[] = []
  readonly #program: Program

  constructor(program: Program) {
    this.#program = program
  }

  call(name: string, args: readonly Term[], state: State): readonly Value[] {
    const cut = this.#program.cuts.get(name)
    if (cut !== undefined) return [{ state, values: cut(state, args) }]
    const callee = this.#program.functions.get(name)
    if (callee === undefined) return this.#instruction(name, args, state)

    const watchedAs = this.#program.watched.get(name)
    if (watchedAs !== undefined) state.effect(watchedAs, args)
    const results = callee.returnVariables ?? []
    const frame = new Map<string, Term>(results.map((result) => [result.name, ZERO]))
    for (const [index, parameter] of (callee.parameters ?? []).entries()) {
      const given = args[index]
      if (given === undefined) throw new ProveError(`${name} takes more than ${String(args.length)} arguments`)
      frame.set(parameter.name, given)
    }
    return this.#block(callee.body, { state, frame, flow: 'next' }).map((end) => ({
      state: end.state,
      values: results.map((result) => lookUp(end.frame, result.name)),
    }))
  }

  #instruction(name: string, args: readonly Term[], state: State): readonly Value[] {
    const outcome = runInstruction(name, args, state)
    if (outcome.kind === 'revert') {
      this.reverted.push({ kind: 'revert', state, selector: outcome.selector })
      return []
    }
    return [{ state, values: outcome.values }]
  }

  #block(block: YulBlock, from: Step): readonly Step[] {
    let steps: readonly Step[] = [from]
    for (const statement of block.statements) {
      steps = steps.flatMap((step) => (step.flow === 'next' ? this.#statement(statement, step) : [step]))
    }
    return steps
  }

  #statement(statement: YulStatement, step: Step): readonly Step[] {
    switch (statement.nodeType) {
      case 'YulBlock':
        return this.#block(statement, step)
      case 'YulFunctionDefinition':
        return [step]
      case 'YulExpressionStatement':
        return this.#evaluate(statement.expression, step).map(({ state }) => ({ ...step, state }))
      case 'YulVariableDeclaration': {
        const names = statement.variables.map((each) => each.name)
        if (statement.value === null)
          return [
            assign(
              step,
              step.state,
              names,
              names.map(() => ZERO),
            ),
          ]
        return this.#evaluate(statement.value, step).map(({ state, values }) => assign(step, state, names, values))
      }
      case 'YulAssignment': {
        const names = statement.variableNames.map((each) => each.name)
        return this.#evaluate(statement.value, step).map(({ state, values }) => assign(step, state, names, values))
      }
      case 'YulIf':
        return this.#evaluateOne(statement.condition, step).flatMap(({ state, value }) =>
          fork(state, value).flatMap((way) =>
            way.taken ? this.#block(statement.body, { ...step, state: way.state }) : [{ ...step, state: way.state }],
          ),
        )
      case 'YulSwitch':
        return this.#evaluateOne(statement.expression, step).flatMap(({ state, value }) => {
          let open: readonly State[] = [state]
          const done: Step[] = []
          for (const { value: label, body } of statement.cases) {
            const remaining: State[] = []
            for (const each of open) {
              const matches = label === 'default' ? word(1n) : fromBool(eq(value, literal(label)))
              for (const way of fork(each, matches)) {
                if (way.taken) done.push(...this.#block(body, { ...step, state: way.state }))
                else remaining.push(way.state)
              }
            }
            open = remaining
          }
          return [...done, ...open.map((each) => ({ ...step, state: each }))]
        })
      case 'YulForLoop':
        return this.#loop(statement, step)
      case 'YulLeave':
        return [{ ...step, flow: 'leave' }]
      case 'YulBreak':
        return [{ ...step, flow: 'break' }]
      case 'YulContinue':
        return [{ ...step, flow: 'continue' }]
    }
  }

  #loop(loop: YulLoop, from: Step): readonly Step[] {
    const done: Step[] = []
    let running = this.#block(loop.pre, from)
    for (let round = 0; running.length > 0; ++round) {
      if (round === LOOP_LIMIT) throw new ProveError(`a loop does not end within ${String(LOOP_LIMIT)} rounds`)
      const next: Step[] = []
      for (const step of running) {
        for (const { state, value } of this.#evaluateOne(loop.condition, step)) {
          if (constant(value, "a loop's condition") === 0n) {
            done.push({ ...step, state })
            continue
          }
          for (const end of this.#block(loop.body, { ...step, state })) {
            if (end.flow === 'leave') done.push(end)
            else if (end.flow === 'break') done.push({ ...end, flow: 'next' })
            else next.push(...this.#block(loop.post, { ...end, flow: 'next' }))
          }
        }
      }
      running = next
    }
    return done
  }

  #evaluateOne(expression: YulExpression, step: Step): readonly { readonly state: State; readonly value: Term }[] {
    return this.#evaluate(expression, step).map(({ state, values }) => {
      const [value] = values
      if (value === undefined || values.length !== 1) throw new ProveError('an expression must have one value')
      return { state, value }
    })
  }

  #evaluate(expression: YulExpression, step: Step): readonly Value[] {
    switch (expression.nodeType) {
      case 'YulLiteral':
        return [{ state: step.state, values: [literal(expression)] }]
      case 'YulIdentifier':
        return [{ state: step.state, values: [lookUp(step.frame, expression.name)] }]
      case 'YulFunctionCall':
        return this.#evaluateCall(expression, step)
    }
  }

  /** Arguments are evaluated from the last to the first, as the EVM does. */
  #evaluateCall(expression: YulCall, step: Step): readonly Value[] {
    let partial: readonly Value[] = [{ state: step.state, values: [] }]
    for (const argument of [...expression.arguments].reverse()) {
      partial = partial.flatMap(({ state, values }) =>
        this.#evaluateOne(argument, { ...step, state }).map((each) => ({
          state: each.state,
          values: [each.value, ...values],
        })),
      )
    }
    return partial.flatMap(({ state, values }) => this.call(expression.functionName.name, values, state))
  }
}

function assign(step: Step, state: State, names: readonly string[], values: readonly Term[]): Step {
  const frame = new Map(step.frame)
  for (const [index, name] of names.entries()) {
    const value = values[index]
    if (value === undefined) throw new ProveError(`${name} gets no value`)
    frame.set(name, value)
  }
  return { ...step, state, frame }
}

function lookUp(frame: Frame, name: string): Term {
  const value = frame.get(name)
  if (value === undefined) throw new ProveError(`${name} has no value`)
  return value
}

/** Names of immutables and the like are strings; what matters is that different ones differ. */
function literal({ kind, value, hexValue }: YulLiteral): Term {
  if (kind === 'number') return word(BigInt(value ?? '0'))
  if (kind === 'bool') return word(value === 'true' ? 1n : 0n)
  return word(BigInt(`0x${hexValue === undefined || hexValue === '' ? '00' : hexValue}`))
}
