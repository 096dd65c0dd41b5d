// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";

/// @title GasFloor
/// @notice Keeps who relays a batch from starving an order in it.
library GasFloor {
    /// @dev Gas that may be spent between the check of what is left and the call: a cold account, and the one that it
    /// delegates to (EIP-7702), included.
    uint256 private constant CALL_OVERHEAD = 8_000;

    /// @notice Reverts with `GasTooLow` where the gas left could not give a call `gasForCall`, so that a failure is
    /// never the relayer's doing (F5).
    function requireGas(bytes32 orderId, uint256 gasForCall) internal view {
        // A call gets at most 63/64 of what is left (EIP-150).
        uint256 needed = gasForCall + gasForCall / 63 + CALL_OVERHEAD;
        require(gasleft() >= needed, IInferenceEscrow.GasTooLow(orderId, needed, gasleft()));
    }
}
