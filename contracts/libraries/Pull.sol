// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {IPermit2} from "../interfaces/IPermit2.sol";
import {SignedOrder} from "../types/WorkOrder.sol";
import {OrderHash} from "./OrderHash.sol";

/// @title Pull
/// @notice Moves an order's amount from its payer to this contract through Permit2, under the payer's signature.
library Pull {
    /// @dev Gas that may be spent between the check of what is left and the call, a cold account included.
    uint256 private constant CALL_OVERHEAD = 5_000;

    /// @notice The call of Permit2 with everything that pulls have in common; `fill` sets the rest. Nothing may be kept
    /// in memory behind it before the last `send`.
    function prepare(IERC20 token) internal view returns (bytes memory call_) {
        IPermit2.PermitTransferFrom memory permit;
        permit.permitted.token = address(token);
        call_ = abi.encodeCall(
            IPermit2.permitWitnessTransferFrom,
            (
                permit,
                IPermit2.SignatureTransferDetails(address(this), 0),
                address(0),
                0,
                OrderHash.WITNESS_TYPE_STRING,
                ""
            )
        );
    }

    /// @notice Sets what is the order's own. @return size of the call in bytes
    function fill(
        bytes memory call_,
        SignedOrder calldata signed,
        bytes32 witness
    ) internal pure returns (uint256 size) {
        bytes calldata signature = signed.signature;
        // The signature's length is the last word of the prepared call; its bytes go behind it. Offsets of arguments,
        // which begin behind length and selector: amount 0x20, nonce 0x40, deadline 0x60, requestedAmount 0xa0, owner
        // 0xc0, witness 0xe0. Offsets in `signed`: payer 0x00, nonce 0x20, amount 0x40, deadline 0xc0; the amount and
        // the payer were checked to be clean when the order was hashed.
        // Memory-safe: the prepared call, and temporary memory behind it.
        assembly ("memory-safe") {
            let args := add(call_, 0x24)
            let amount := calldataload(add(signed, 0x40))
            mstore(add(args, 0x20), amount)
            mstore(add(args, 0x40), calldataload(add(signed, 0x20)))
            mstore(add(args, 0x60), calldataload(add(signed, 0xc0)))
            mstore(add(args, 0xa0), amount)
            mstore(add(args, 0xc0), calldataload(signed))
            mstore(add(args, 0xe0), witness)
            let length := mload(call_)
            let last := add(call_, length)
            mstore(last, signature.length)
            calldatacopy(add(last, 0x20), signature.offset, signature.length)
            size := add(length, signature.length)
        }
    }

    /// @notice Reverts with `GasTooLow` where the gas left could not give a call `gasForPull`, so that a failure is
    /// never the relayer's doing (F5).
    function requireGas(bytes32 orderId, uint256 gasForPull) internal view {
        // A call gets at most 63/64 of what is left (EIP-150).
        uint256 needed = gasForPull + gasForPull / 63 + CALL_OVERHEAD;
        require(gasleft() >= needed, IInferenceEscrow.GasTooLow(orderId, needed, gasleft()));
    }

    /// @notice Sends the call with at most `gasForPull`. @return success false where Permit2 or the token refused;
    /// their answer is not copied
    function send(
        bytes memory call_,
        uint256 size,
        IPermit2 permit2,
        uint256 gasForPull
    ) internal returns (bool success) {
        assembly ("memory-safe") {
            success := call(gasForPull, permit2, 0, add(call_, 0x20), size, 0, 0)
        }
    }

    /// @notice Reverts with what Permit2 or the token said.
    function bubble() internal pure {
        // Memory-safe: nothing runs after it.
        assembly ("memory-safe") {
            returndatacopy(0, 0, returndatasize())
            revert(0, returndatasize())
        }
    }
}
