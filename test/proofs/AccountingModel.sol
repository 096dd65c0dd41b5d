// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title AccountingModel
/// @notice What each step of the escrow does to amounts, with the fields of an order apart. The model checker proves
/// the guarantees over these functions; `npm run prove` proves too that the escrow's own code does the same to its
/// packed words, for all inputs.
library AccountingModel {
    /// @notice Whether what was released may rise to `total`. An amount of zero is an order that was never opened.
    function releases(uint256 amount, uint256 released, bool closed, uint256 total) internal pure returns (bool) {
        return amount != 0 && !closed && released <= total && total <= amount;
    }

    /// @notice Whether an order may end.
    function closes(uint256 amount, bool closed) internal pure returns (bool) {
        return amount != 0 && !closed;
    }

    /// @notice What the payer gets back at the end.
    function refundOf(uint256 amount, uint256 released) internal pure returns (uint256) {
        return amount - released;
    }

    /// @notice What a routed order has for further slices.
    function free(uint256 amount, uint256 reserved, uint256 released) internal pure returns (uint256) {
        return amount - reserved - released;
    }

    /// @notice Whether a slice that is still to be settled may be, for this fee.
    function settlesSlice(bool closed, uint256 cap, uint256 fee) internal pure returns (bool) {
        return !closed && fee <= cap;
    }
}
