// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IPermit2} from "./IPermit2.sol";

/// @title IUptoProxy
/// @notice The x402 upto proxy: what stock `upto` clients name as Permit2's spender. It settles for the facilitator that
/// the payer signed, and for nobody else.
interface IUptoProxy {
    /// @notice What the payer signs beside the money.
    struct Witness {
        address to;
        address facilitator;
        uint256 validAfter;
    }

    /// @notice An EIP-2612 approval of Permit2.
    struct EIP2612Permit {
        uint256 value;
        uint256 deadline;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    /// @notice Moves `amount`, at most what is permitted, from `owner` to `witness.to`.
    function settle(
        IPermit2.PermitTransferFrom calldata permit,
        uint256 amount,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) external;

    /// @notice `settle`, after an EIP-2612 approval that may fail.
    function settleWithPermit(
        EIP2612Permit calldata permit2612,
        IPermit2.PermitTransferFrom calldata permit,
        uint256 amount,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) external;
}
