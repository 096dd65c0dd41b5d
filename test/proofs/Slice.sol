// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Slice
/// @notice E2 and E5 of any slice, whatever happens to the others: it is followed by itself, and the others are known by
/// the sum of their caps.
contract Slice {
    uint256 private _reserved;

    /// @dev What the slice reserved, and whether its bit is set: it is still to be settled.
    uint256 private _cap;
    bool private _waiting;
    uint256 private _settlements;
    /// @dev Caps of the other slices that are still to be settled.
    uint256 private _others;

    /// @notice An allocation without the slice.
    function allocateOthers(uint256 sum) external {
        _reserved += sum;
        _others += sum;
    }

    /// @notice An allocation with it, and with others of the same cap.
    function allocate(uint256 cap, uint256 others) external {
        require(_cap == 0 && cap != 0);
        _reserved += cap + others;
        _others += others;
        _cap = cap;
        _waiting = true;
    }

    function settleOther(uint256 cap) external {
        require(cap <= _others); // no element exceeds its sum
        _reserved -= cap;
        _others -= cap;
    }

    function settle() external {
        require(_waiting);
        _reserved -= _cap;
        _waiting = false;
        ++_settlements;
    }

    /// @custom:proves E2
    function staysReserved() external view {
        if (_waiting) assert(_cap <= _reserved);
    }

    /// @custom:proves E2
    function keepsFacilitatorFromClosing() external view {
        if (_waiting) assert(_reserved != 0);
    }

    /// @custom:proves E5
    function settledOnce() external view {
        assert(_settlements <= 1);
    }
}
