import type { Patch } from './compile.js'
import { prove } from './targets.js'

/** A way to break the code, and a target that must then fail. */
interface Sabotage extends Patch {
  readonly name: string
  readonly target: string
}

const LIBRARIES = 'contracts/libraries'
const ESCROW = 'contracts/InferenceEscrow.sol'
const MODEL = 'test/proofs/AccountingModel.sol'

const SABOTAGES: readonly Sabotage[] = [
  {
    name: 'a row may go beyond the amount',
    target: 'InferenceEscrow._settleRow',
    file: ESCROW,
    find: 'if (row.cumulativeFee() > state.amount()) return SkipReason.Overdrawn;',
    replace: '',
  },
  {
    name: 'a closed order may be closed again',
    target: 'InferenceEscrow._close',
    file: ESCROW,
    find: 'require(!state.isClosed(), OrderClosed(id));',
    replace: '',
  },
  {
    name: 'a function of its own writes an order',
    target: 'InferenceEscrow.steps',
    file: ESCROW,
    find: '    // ---- views ----',
    replace: '    function leak(bytes32 id) external { _orders[id] = OrderState.wrap(1); }',
  },
  {
    name: 'whoever reclaims gets the rest',
    target: 'InferenceEscrow.reclaim',
    file: ESCROW,
    find: '_refund(id, order.payer, refund); // to the payer, whoever calls (E6)',
    replace: '_refund(id, msg.sender, refund);',
  },
  {
    name: 'a batch does not count what its last order brought',
    target: 'InferenceEscrow.openBatch.2',
    file: ESCROW,
    find: 'sum += order.amount;',
    replace: 'sum = order.amount;',
  },
  {
    name: 'the refund forgets what was released',
    target: 'OrderState.close',
    file: `${LIBRARIES}/OrderState.sol`,
    find: 'refund = amount(self) - released(self);',
    replace: 'refund = amount(self);',
  },
  {
    name: 'the last payee takes the pool before the royalty',
    target: 'Shares.divide',
    file: `${LIBRARIES}/Shares.sol`,
    find: 'self.facilitator += rest - royalty;',
    replace: 'self.facilitator += rest;',
  },
  {
    name: 'fees that were paid before count again',
    target: 'Shares.add',
    file: `${LIBRARIES}/Shares.sol`,
    find: 'self.node += cumulativeFee - released - pool;',
    replace: 'self.node += cumulativeFee - pool;',
  },
  {
    name: 'a claim leaves its bucket full',
    target: 'Payouts._payOut',
    file: `${LIBRARIES}/Credits.sol`,
    find: 'if (amount != 0) self.plusOne = 1;',
    replace: '',
  },
  {
    name: 'a refund that the token refuses is lost',
    target: 'Payouts._refund',
    file: 'contracts/Payouts.sol',
    find: '_credits[payer].add(refund);',
    replace: '',
  },
  {
    name: 'the model releases more than the amount',
    target: 'OneOrder.neverMoreThanSigned',
    file: MODEL,
    find: '&& total <= amount',
    replace: '',
  },
  {
    name: 'the model refunds a closed order',
    target: 'OneOrder.refundedOnce',
    file: MODEL,
    find: 'return amount != 0 && !closed;',
    replace: 'return amount != 0;',
  },
  {
    name: 'an order opens though no tokens arrived',
    target: 'Solvency.solvent',
    file: 'test/proofs/Solvency.sol',
    find: '_balance += amount;\n        _amount[id] = amount;',
    replace: '_amount[id] = amount;',
  },
]

export interface SelfCheck {
  readonly name: string
  readonly target: string
  /** Whether the target failed, as it must, and was refuted: one that ran out of time shows nothing. */
  readonly noticed: boolean
}

/** Breaks the code in memory, one passage at a time, and tries what must fail: a proof that cannot fail proves nothing. */
export function* selfCheck(): Generator<SelfCheck> {
  for (const { name, target, ...patch } of SABOTAGES) {
    const [result] = prove([target], patch)
    yield { name, target, noticed: result?.verdict === 'refuted' }
  }
}
