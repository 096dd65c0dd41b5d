// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPermit2} from "../interfaces/IPermit2.sol";

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {Order, SignedOrder} from "../types/WorkOrder.sol";
import {OrderHash} from "./OrderHash.sol";

/// @title Pull
/// @notice Moves an order's amount from its payer to this contract through Permit2, under the payer's signature.
library Pull {
    /// @dev Gas that is spent between the check of what is left and the call: encoding is done, this is the call itself.
    uint256 private constant CALL_OVERHEAD = 5_000;

    /// @notice Pulls; Permit2's own errors come through.
    function permitted(
        IPermit2 permit2,
        IERC20 token,
        SignedOrder calldata signed,
        bytes32 witness
    ) internal {
        Order calldata order = signed.order;
        permit2.permitWitnessTransferFrom(
            _permit(token, signed),
            IPermit2.SignatureTransferDetails(address(this), order.amount),
            order.payer,
            witness,
            OrderHash.WITNESS_TYPE_STRING,
            signed.signature
        );
    }

    /// @notice Pulls with exactly `gasForPull`; false where it fails. Reverts with `GasTooLow` where the gas left could
    /// not have given as much, so that a failure is never the relayer's doing (F5).
    function tryPermitted(
        IPermit2 permit2,
        IERC20 token,
        SignedOrder calldata signed,
        bytes32 witness,
        bytes32 orderId,
        uint256 gasForPull
    ) internal returns (bool success) {
        uint256 freeMemory = _freeMemory();
        Order calldata order = signed.order;
        bytes memory call_ = abi.encodeCall(
            IPermit2.permitWitnessTransferFrom,
            (
                _permit(token, signed),
                IPermit2.SignatureTransferDetails(address(this), order.amount),
                order.payer,
                witness,
                OrderHash.WITNESS_TYPE_STRING,
                signed.signature
            )
        );
        // A call gets at most 63/64 of what is left (EIP-150).
        uint256 needed = gasForPull + gasForPull / 63 + CALL_OVERHEAD;
        require(gasleft() >= needed, IInferenceEscrow.GasTooLow(orderId, needed, gasleft()));
        // Memory-safe: nothing of the answer is copied, and the call's own memory, which nothing refers to any more, is
        // given back, so that a long batch does not pay for it.
        assembly ("memory-safe") {
            success := call(gasForPull, permit2, 0, add(call_, 0x20), mload(call_), 0, 0)
            mstore(0x40, freeMemory)
        }
    }

    function _permit(
        IERC20 token,
        SignedOrder calldata signed
    ) private pure returns (IPermit2.PermitTransferFrom memory) {
        return
            IPermit2.PermitTransferFrom(
                IPermit2.TokenPermissions(address(token), signed.order.amount),
                signed.order.nonce,
                signed.deadline
            );
    }

    function _freeMemory() private pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
        }
    }
}
