import type { Subject } from '../subject.js'
import { FALSE, TRUE } from '../yul/terms.js'
import type { Obligation } from './types.js'

/** Who does what to the escrow's books and tokens: each of these has obligations of its own, and there is no other. */
const CALLERS: Readonly<Record<string, readonly string[]>> = {
  sstore: [
    'Credits.add',
    'Credits.empty',
    'InferenceEscrow._close',
    'InferenceEscrow._record',
    'InferenceEscrow._settleRow',
  ],
  call: ['Pull.send', 'SafeERC20._safeTransfer', 'SafeERC20._safeTransferFrom'],
  // Only `multicall`, which calls the escrow itself.
  delegatecall: ['LowLevelCall.delegatecallNoReturn'],
  callcode: [],
  create: [],
  create2: [],
  selfdestruct: [],
  'InferenceEscrow._record': ['InferenceEscrow.open', 'InferenceEscrow.openBatch', 'InferenceEscrow.openFunded'],
  'InferenceEscrow._settle': ['InferenceEscrow.settle', 'InferenceEscrow.settleWithClaim'],
  'InferenceEscrow._settleRow': ['InferenceEscrow._settle'],
  'InferenceEscrow._close': ['InferenceEscrow.reclaim', 'InferenceEscrow.release'],
  'Payouts._credit': ['InferenceEscrow._settle'],
  'Payouts._refund': ['InferenceEscrow._settleRow', 'InferenceEscrow.reclaim', 'InferenceEscrow.release'],
  'Payouts._payOut': ['Payouts.claim', 'Payouts.claimTo'],
  'Credits.add': ['Payouts._credit', 'Payouts._refund'],
  'Credits.empty': ['Payouts._credit', 'Payouts._payOut', 'Payouts.claimNetwork', 'Payouts.claimRoyalty'],
  'SharesLib.add': ['InferenceEscrow._settleRow'],
  'SharesLib.divide': ['InferenceEscrow._settle', 'SharesLib.add'],
  'SafeERC20.safeTransfer': ['Payouts._credit', 'Payouts._payOut', 'Payouts.claimNetwork', 'Payouts.claimRoyalty'],
  'SafeERC20.trySafeTransfer': ['Payouts._refund'],
  'SafeERC20.safeTransferFrom': ['InferenceEscrow.openFunded'],
  'Pull.send': ['InferenceEscrow.open', 'InferenceEscrow.openBatch'],
}

export const STEPS: readonly Obligation[] = [
  {
    name: 'InferenceEscrow.steps',
    guarantees: 'E1 E4 E7 E10',
    says: 'no other function than those proved here writes storage, calls the token or moves a unit',
    encoding: 'bits',
    claim: (subject) => ({ never: complete(subject) ? FALSE : TRUE, possible: TRUE }),
  },
]

function complete(subject: Subject): boolean {
  return Object.entries(CALLERS).every(([name, callers]) => subject.callersOf(name).join() === callers.join())
}
