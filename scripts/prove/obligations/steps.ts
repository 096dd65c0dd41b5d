import type { Subject } from '../subject.js'
import { FALSE, TRUE } from '../yul/terms.js'
import type { Obligation } from './types.js'

/** Who does what to the escrow's books and tokens: each of these has obligations of its own, and there is no other. */
const CALLERS: Readonly<Record<string, readonly string[]>> = {
  sstore: [
    'Credits.add',
    'Credits.empty',
    'Credits.emptyNetwork',
    'Opening._record',
    'Opening.syncNetworkBps',
    'OrderBook._close',
    'Settling._settleRow',
    'Slices.allocate',
    'Slices.settleSlices',
  ],
  call: [
    'Opening._callWithoutAnswer',
    'Opening.openVia',
    'Pull.send',
    'SafeERC20._safeTransfer',
    'SafeERC20._safeTransferFrom',
  ],
  // Only `multicall`, which calls the escrow itself.
  delegatecall: ['LowLevelCall.delegatecallNoReturn'],
  callcode: [],
  create: [],
  create2: [],
  selfdestruct: [],
  'Opening._record': ['Opening._openOne', 'Opening.openBatch', 'Opening.openBatchVia'],
  'Opening._openOne': ['Opening.open', 'Opening.openFunded', 'Opening.openVia'],
  'Opening._callWithoutAnswer': ['Opening.openBatchVia', 'Opening.tryPermit'],
  'OrderBook._close': ['OrderBook.reclaim', 'OrderBook.release'],
  'Settling._settleRow': ['Settling._settle'],
  'Settling._settle': ['Settling.settle', 'Settling.settleWithClaim'],
  'Slices._payNode': ['Slices.settleSlices'],
  'RoutedStateLib.reserve': ['Slices.allocate'],
  'RoutedStateLib.settle': ['Slices.settleSlices'],
  'Payouts._transferOrCredit': ['OrderBook.reclaim', 'OrderBook.release', 'Settling._settleRow', 'Slices._payNode'],
  'Payouts._credit': ['Settling._settle', 'Slices.settleSlices'],
  'Payouts._payOut': ['Payouts.claim', 'Payouts.claimTo', 'Settling._settle'],
  'Credits.add': ['Payouts._credit', 'Payouts._payOut', 'Payouts._transferOrCredit', 'Payouts.collectNetwork'],
  'Credits.empty': ['Payouts._payOut', 'Payouts.claimNetwork', 'Payouts.claimRoyalty'],
  'Credits.emptyNetwork': ['Payouts.collectNetwork'],
  'SafeERC20.safeTransfer': ['Payouts._payOut', 'Payouts.claimNetwork', 'Payouts.claimRoyalty'],
  'SafeERC20.trySafeTransfer': ['Payouts._transferOrCredit'],
  'SafeERC20.safeTransferFrom': ['Opening.openFunded'],
  'Pull.send': ['Opening.open', 'Opening.openBatch'],
  'SharesLib.add': ['Settling._settleRow'],
  'SharesLib.addSlice': ['Slices.settleSlices'],
  'SharesLib.divide': ['Settling._settle', 'SharesLib.add', 'Slices.settleSlices'],
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
