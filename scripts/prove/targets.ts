import { compileContract, type Patch } from './compile.js'
import { OPENING } from './obligations/opening.js'
import { ORDER_STATE } from './obligations/orderState.js'
import { PAYOUTS } from './obligations/payouts.js'
import { SETTLING } from './obligations/settling.js'
import { SHARES } from './obligations/shares.js'
import { SLICES } from './obligations/slices.js'
import { STEPS } from './obligations/steps.js'
import type { Obligation } from './obligations/types.js'
import { checkModel, type Verdict } from './modelChecker.js'
import { Subject } from './subject.js'
import { decide } from './z3.js'
import { QUOTIENT_LAWS, toSmtLib } from './yul/smt.js'

/** How long one question to the solver may take. What takes longer is not proved. */
const SECONDS = 60

const ESCROW_FILE = 'contracts/InferenceEscrow.sol'
const ESCROW_CONTRACT = 'InferenceEscrow'

/** One of the three ways in which a target is proved. */
export type Method = 'model checker' | 'compiled code' | 'integers'

export interface Target {
  readonly name: string
  readonly method: Method
  readonly guarantees: string
  readonly says: string
}

export interface Result extends Target {
  readonly verdict: Verdict
}

interface Model {
  readonly file: string
  readonly contract: string
  /** What each function with an assertion proves: a list of its own, so that an assertion cannot vanish unseen. */
  readonly asserts: Readonly<Record<string, { readonly guarantees: string; readonly says: string }>>
}

export const MODELS: readonly Model[] = [
  {
    file: 'test/proofs/Solvency.sol',
    contract: 'Solvency',
    asserts: {
      solvent: {
        guarantees: 'E1',
        says: 'what open orders have left, all credits and the fees under way never exceed the balance',
      },
    },
  },
  {
    file: 'test/proofs/OneOrder.sol',
    contract: 'OneOrder',
    asserts: {
      neverMoreThanSigned: { guarantees: 'E4', says: 'all shares together stay within the amount' },
      nothingFromNothing: { guarantees: 'E1 E4', says: 'shares and refund together stay within the amount' },
      conserved: { guarantees: 'E7', says: 'of a closed order, shares and refund are the amount, to the last unit' },
      refundedOnce: { guarantees: 'E5', says: 'an order is refunded once if it is closed, and otherwise never' },
      openedOnce: { guarantees: 'E5', says: 'an order opens at most once' },
      closingNeverFails: { guarantees: 'E6', says: 'the rest of an open order is never negative, so closing works' },
    },
  },
  {
    file: 'test/proofs/RoutedOrder.sol',
    contract: 'RoutedOrder',
    asserts: {
      neverReservesMoreThanSigned: {
        guarantees: 'E2 E4',
        says: 'what slices reserve and what they released stay within the amount together',
      },
      neverPaysMoreThanSigned: { guarantees: 'E4', says: 'all shares together stay within the amount' },
      conserved: { guarantees: 'E7', says: 'of a closed routed order, shares and refund are the amount' },
    },
  },
  {
    file: 'test/proofs/Slice.sol',
    contract: 'Slice',
    asserts: {
      staysReserved: { guarantees: 'E2', says: 'what a slice reserved stays reserved until it is settled' },
      keepsFacilitatorFromClosing: {
        guarantees: 'E2',
        says: 'while a slice waits something is reserved, so the facilitator cannot close the order',
      },
      settledOnce: { guarantees: 'E5', says: 'a slice is settled at most once' },
    },
  },
]

const OBLIGATIONS: readonly Obligation[] = [
  ...STEPS,
  ...OPENING,
  ...SETTLING,
  ...SLICES,
  ...PAYOUTS,
  ...ORDER_STATE,
  ...SHARES,
]

/** All that must be proved, whether or not anything still proves it. */
export function targets(): readonly Target[] {
  return [
    ...MODELS.flatMap(({ contract, asserts }) =>
      Object.entries(asserts).map(([name, about]) => ({
        name: `${contract}.${name}`,
        method: 'model checker' as const,
        ...about,
      })),
    ),
    ...QUOTIENT_LAWS.map(({ name, says }) => ({ name, method: 'integers' as const, guarantees: 'E7', says })),
    ...OBLIGATIONS.map(({ name, guarantees, says }) => ({ name, method: 'compiled code' as const, guarantees, says })),
  ]
}

/** Tries targets one after the other, all or those named, over the code as it is or with passages changed. */
export function* prove(only?: readonly string[], patches: readonly Patch[] = []): Generator<Result> {
  const wanted = targets().filter((target) => only === undefined || only.includes(target.name))
  const models = new Map<string, ReadonlyMap<string, Verdict>>()
  let subject: Subject | undefined
  for (const target of wanted) {
    yield { ...target, verdict: verdictOf(target) }
  }

  function verdictOf({ name }: Target): Verdict {
    const law = QUOTIENT_LAWS.find((each) => each.name === name)
    if (law !== undefined) return verdict(decide(law.script, SECONDS))

    const obligation = OBLIGATIONS.find((each) => each.name === name)
    if (obligation !== undefined) {
      subject ??= new Subject(compileContract(ESCROW_FILE, ESCROW_CONTRACT, patches))
      return tryObligation(obligation, subject)
    }

    const model = MODELS.find(({ contract }) => name.startsWith(`${contract}.`))
    if (model === undefined) return 'not decided'
    let verdicts = models.get(model.file)
    if (verdicts === undefined) {
      const { file, contract } = model
      verdicts = checkModel({ file, contract, seconds: SECONDS, patches })
      models.set(file, verdicts)
    }
    return verdicts.get(name.slice(model.contract.length + 1)) ?? 'not decided'
  }
}

function tryObligation({ claim, encoding }: Obligation, subject: Subject): Verdict {
  const { never, possible } = claim(subject)
  const found = verdict(decide(toSmtLib(never, encoding), SECONDS))
  if (found !== 'proved') return found
  // A law about no input at all proves nothing.
  return decide(toSmtLib(possible, encoding), SECONDS) === 'sat' ? 'proved' : 'not decided'
}

function verdict(answer: ReturnType<typeof decide>): Verdict {
  if (answer === 'unsat') return 'proved'
  return answer === 'sat' ? 'refuted' : 'not decided'
}
