// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccountingModel} from "./AccountingModel.sol";

/// @title Solvency
/// @notice E1 over any number of orders, rows, payees and calls: what the escrow owes never exceeds what it holds.
/// @dev Each external function is one step that the escrow takes, with any inputs; the model checker takes them in
/// every order, without bound. `rests` and `credits` are sums over the mappings, kept beside them by what each step
/// adds and takes away. The checker knows sums by that alone, so a step that would take more from a sum than it holds
/// reverts here; in truth no element exceeds its sum. Division of fees is left open: any parts that add up.
contract Solvency {
    mapping(bytes32 orderId => uint256) private _amount;
    mapping(bytes32 orderId => uint256) private _released;
    mapping(bytes32 orderId => bool) private _closed;
    mapping(bytes32 bucket => uint256) private _credit;

    /// @dev Fees of the call that is running, released from orders and not credited yet.
    uint256 private _pending;
    uint256 private _balance;
    uint256 private _rests;
    uint256 private _credits;

    /// @notice Every way to open: exactly the amount arrived.
    function open(bytes32 id, uint96 amount) external {
        require(_amount[id] == 0 && amount != 0);
        _balance += amount;
        _amount[id] = amount;
        _rests += amount;
    }

    /// @notice A row of `settle`; one with `close` takes the step `close` too. Or a slice, whose fee raises what its order
    /// released: `RoutedOrder` shows that it stays within the amount.
    function release(bytes32 id, uint96 total) external {
        uint256 released = _released[id];
        require(AccountingModel.releases(_amount[id], released, _closed[id], total));
        _released[id] = total;
        _rests -= total - released;
        _pending += total - released;
    }

    /// @notice The end of an order: a row of `settle` with `close`, `release`, `reclaim`.
    function close(bytes32 id, bytes32 payer, bool refused) external {
        require(AccountingModel.closes(_amount[id], _closed[id]));
        uint256 refund = AccountingModel.refundOf(_amount[id], _released[id]);
        _closed[id] = true;
        _rests -= refund;
        if (refused) _add(payer, refund);
        else _balance -= refund;
    }

    /// @notice One credit at the end of `settle` or `settleSlices`. What the network earned through a node is a bucket of
    /// its own here.
    function creditShare(bytes32 bucket, uint256 share) external {
        _pending -= share; // no part exceeds what was divided: the division's own proof
        _add(bucket, share);
    }

    /// @notice A slice's node is paid at once, or credited where the token refuses.
    function payNode(bytes32 node, uint256 share, bool refused) external {
        _pending -= share;
        if (refused) _add(node, share);
        else _balance -= share;
    }

    /// @notice Every claim, that of `settleWithClaim` too.
    function claim(bytes32 bucket) external {
        _balance -= _empty(bucket);
    }

    /// @notice What the network earned through a node moves on to the network: at a claim, and by `collectNetwork`.
    function move(bytes32 from, bytes32 to) external {
        _add(to, _empty(from));
    }

    /// @notice Tokens that somebody sends without a call.
    function donate(uint256 amount) external {
        _balance += amount;
    }

    /// @custom:proves E1
    function solvent() external view {
        assert(_balance >= _rests + _credits + _pending);
    }

    function _add(bytes32 bucket, uint256 amount) private {
        _credit[bucket] += amount;
        _credits += amount;
    }

    function _empty(bytes32 bucket) private returns (uint256 amount) {
        amount = _credit[bucket];
        _credit[bucket] = 0;
        _credits -= amount;
    }
}
