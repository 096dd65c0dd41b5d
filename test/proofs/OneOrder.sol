// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccountingModel} from "./AccountingModel.sol";

/// @title OneOrder
/// @notice E4, E5 and E7 over the whole life of any order, with any rows, in any order, without bound. Other orders do
/// not touch it: the escrow writes an order's slot by its id alone.
contract OneOrder {
    uint256 private _amount;
    uint256 private _released;
    bool private _closed;

    /// @dev What left to node, facilitator, model and network together, and to the payer.
    uint256 private _shares;
    uint256 private _refunds;
    uint256 private _refundCount;
    uint256 private _opened;

    function open(uint96 amount) external {
        require(_amount == 0 && amount != 0);
        _amount = amount;
        ++_opened;
    }

    /// @notice A row of `settle`. One with `close` takes the next step too.
    function release(uint96 total) external {
        require(AccountingModel.releases(_amount, _released, _closed, total));
        _shares += total - _released;
        _released = total;
    }

    /// @notice The end of an order: a row of `settle` with `close`, `release`, `reclaim`.
    function close() external {
        require(AccountingModel.closes(_amount, _closed));
        _refunds += AccountingModel.refundOf(_amount, _released);
        _closed = true;
        ++_refundCount;
    }

    /// @custom:proves E4
    function neverMoreThanSigned() external view {
        assert(_shares <= _amount);
    }

    /// @custom:proves E4
    function nothingFromNothing() external view {
        assert(_shares + _refunds <= _amount);
    }

    /// @custom:proves E7
    function conserved() external view {
        if (_closed) assert(_shares + _refunds == _amount);
    }

    /// @custom:proves E5
    function refundedOnce() external view {
        assert(_refundCount == (_closed ? 1 : 0));
    }

    /// @custom:proves E5
    function openedOnce() external view {
        assert(_opened <= 1);
    }

    /// @custom:proves E6
    function closingNeverFails() external view {
        if (!_closed) assert(_released <= _amount);
    }
}
