// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccountingModel} from "./AccountingModel.sol";

/// @title RoutedOrder
/// @notice E2, E4 and E7 over the whole life of any routed order: any number of allocations and slices, in any order,
/// without bound. `Slice` shows that each slice that waits is a part of what is reserved.
contract RoutedOrder {
    uint256 private _amount;
    uint256 private _reserved;
    uint256 private _released;
    bool private _closed;

    /// @dev What left to nodes and through shares, and to the payer.
    uint256 private _shares;
    uint256 private _refunds;

    function open(uint96 amount) external {
        require(_amount == 0 && amount != 0);
        _amount = amount;
    }

    function allocate(uint256 sum) external {
        require(AccountingModel.closes(_amount, _closed) && sum != 0);
        require(sum <= AccountingModel.free(_amount, _reserved, _released));
        _reserved += sum;
    }

    function settleSlice(uint256 cap, uint256 fee) external {
        require(AccountingModel.settlesSlice(_closed, cap, fee));
        _reserved -= cap;
        _released += fee;
        _shares += fee;
    }

    /// @notice `release` by the facilitator, `reclaim`.
    function close() external {
        require(AccountingModel.closes(_amount, _closed));
        _closed = true;
        _refunds += AccountingModel.refundOf(_amount, _released);
    }

    /// @custom:proves E2 E4
    function neverReservesMoreThanSigned() external view {
        assert(_reserved + _released <= _amount);
    }

    /// @custom:proves E4
    function neverPaysMoreThanSigned() external view {
        assert(_shares <= _amount);
    }

    /// @custom:proves E7
    function conserved() external view {
        if (_closed) assert(_shares + _refunds == _amount);
    }
}
