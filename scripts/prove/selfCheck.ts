import type { Patch } from './compile.js'
import { prove } from './targets.js'

/** A way to break the code, and a target that must then fail. */
interface Sabotage extends Patch {
  readonly name: string
  readonly target: string
}

const LIBRARIES = 'contracts/libraries'
const PARTS = 'contracts/escrow'
const MODEL = 'test/proofs/AccountingModel.sol'

/**
 * In groups that are compiled together, since compiling takes longest: within a group no break is in what another's target
 * looks into.
 */
const SABOTAGES: readonly (readonly Sabotage[])[] = [
  [
    {
      name: 'a row may go beyond the amount',
      target: 'Settling._settleRow',
      file: `${PARTS}/Settling.sol`,
      find: 'if (cumulativeFee > state.amount()) return SkipReason.Overdrawn;',
      replace: '',
    },
    {
      name: 'a facilitator may close over reserved slices',
      target: 'OrderBook.release',
      file: `${PARTS}/OrderBook.sol`,
      find: 'require(reserved == 0, SlicesReserved(id, reserved));',
      replace: 'reserved;',
    },
    {
      name: 'a batch does not count what its last order brought',
      target: 'Opening.openBatch.2',
      file: `${PARTS}/Opening.sol`,
      find: 'sum += _record(id, node, one.order, fresh);',
      replace: 'sum = _record(id, node, one.order, fresh);',
    },
    {
      name: 'slices reserve more than is free',
      target: 'Slices.allocate',
      file: `${PARTS}/Slices.sol`,
      find: 'require(sum <= free, AllocationTooLarge(id, sum, free));',
      replace: '',
    },
    {
      name: 'the last payee takes the pool before the royalty',
      target: 'Shares.divide',
      file: `${LIBRARIES}/Shares.sol`,
      find: 'self.facilitator += rest - royalty;',
      replace: 'self.facilitator += rest;',
    },
    {
      name: 'a claim leaves its bucket full',
      target: 'Credits.empty',
      file: `${LIBRARIES}/Credits.sol`,
      find: '(self.plusOne, self.network) = (1, 0);',
      replace: 'self.network = 0;',
    },
    {
      name: "the network's part is lost at a claim",
      target: 'Payouts._payOut',
      file: `${PARTS}/Payouts.sol`,
      find: '_networkCredit.add(networkAmount, 0);',
      replace: '',
    },
  ],
  [
    {
      name: 'a closed order may be closed again',
      target: 'OrderBook._close',
      file: `${PARTS}/OrderBook.sol`,
      find: 'require(!state.isClosed(), OrderClosed(id));',
      replace: '',
    },
    {
      name: 'whoever reclaims gets the rest',
      target: 'OrderBook.reclaim',
      file: `${PARTS}/OrderBook.sol`,
      find: '_transferOrCredit(id, order.payer, refund); // to the payer, whoever calls (E6)',
      replace: '_transferOrCredit(id, msg.sender, refund);',
    },
    {
      name: 'a function of its own writes an order',
      target: 'InferenceEscrow.steps',
      file: `${PARTS}/OrderBook.sol`,
      find: '    /// @dev Ends an order.',
      replace:
        '    function leak(bytes32 id) external { _orders[id].state = OrderState.wrap(1); }\n    /// @dev Ends an order.',
    },
    {
      name: 'a slice keeps its bit',
      target: 'Slices.settleSlices.1',
      file: `${PARTS}/Slices.sol`,
      find: 'batch.unsettled ^= 1 << index;',
      replace: '',
    },
    {
      name: 'fees that were paid before count again',
      target: 'Shares.add',
      file: `${LIBRARIES}/Shares.sol`,
      find: 'self.node += cumulativeFee - released - pool;',
      replace: 'self.node += cumulativeFee - pool;',
    },
    {
      name: 'the model refunds a closed order',
      target: 'OneOrder.refundedOnce',
      file: MODEL,
      find: 'return amount != 0 && !closed;',
      replace: 'return amount != 0;',
    },
  ],
  [
    {
      name: 'the refund forgets what was released',
      target: 'OrderState.close',
      file: `${LIBRARIES}/OrderState.sol`,
      find: 'refund = amount(self) - released(self);',
      replace: 'refund = amount(self);',
    },
    {
      name: 'a slice settles above its cap',
      target: 'Slices.settleSlices.1',
      file: `${PARTS}/Slices.sol`,
      find: 'if (fee > batch.cap) return SkipReason.Overdrawn;',
      replace: '',
    },
    {
      name: 'a refund that the token refuses is lost',
      target: 'Payouts._transferOrCredit',
      file: `${PARTS}/Payouts.sol`,
      find: '_credits[account].add(amount, 0);',
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
      name: 'the model settles a slice above its cap',
      target: 'RoutedOrder.neverPaysMoreThanSigned',
      file: MODEL,
      find: '&& fee <= cap',
      replace: '',
    },
    {
      name: 'an order opens though no tokens arrived',
      target: 'Solvency.solvent',
      file: 'test/proofs/Solvency.sol',
      find: '_balance += amount;\n        _amount[id] = amount;',
      replace: '_amount[id] = amount;',
    },
  ],
]

export interface SelfCheck {
  readonly name: string
  readonly target: string
  /** Whether the target failed, as it must, and was refuted: one that ran out of time shows nothing. */
  readonly noticed: boolean
}

/** Breaks the code in memory and tries what must fail: a proof that cannot fail proves nothing. */
export function* selfCheck(): Generator<SelfCheck> {
  for (const group of SABOTAGES) {
    const targets = group.map(({ target }) => target)
    const results = [...prove(targets, group)]
    for (const { name, target } of group) {
      const result = results.find((each) => each.name === target)
      yield { name, target, noticed: result?.verdict === 'refuted' }
    }
  }
}
