// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IPermit2} from "../interfaces/IPermit2.sol";
import {SignedOrder} from "../types/WorkOrder.sol";
import {OrderHash} from "./OrderHash.sol";

/// @dev Memory pointer to a call of `permitWitnessTransferFrom` that serves one order after the other:
/// 0x00 selector (its low 4 bytes), then the arguments from 0x20 on: token, amount, nonce, deadline, to,
/// requestedAmount, owner, witness, offsets of type string and signature; 0x160 the type string with its length, then
/// the signature's length and bytes.
type PermitCall is uint256;

using Pull for PermitCall global;

/// @title Pull
/// @notice Moves an order's amount from its payer to this contract through Permit2, under the payer's signature.
library Pull {
    /// @notice Prepares what pulls have in common; `fill` sets the rest. Nothing may be kept in memory behind it.
    function prepare(IERC20 token) internal view returns (PermitCall call_) {
        bytes4 selector = IPermit2.permitWitnessTransferFrom.selector;
        // Memory-safe: allocates what it writes.
        assembly ("memory-safe") {
            call_ := mload(0x40)
            mstore(0x40, add(call_, 0x160))
            mstore(call_, shr(224, selector))
            mstore(add(call_, 0x20), token)
            mstore(add(call_, 0xa0), address())
            mstore(add(call_, 0x120), 0x140)
        }
        // Solidity puts the string right behind, with its length in front and padded: as an argument is encoded.
        string memory typeString = OrderHash.WITNESS_TYPE_STRING;
        // Memory-safe: allocates the word for the signature's length, and writes what was allocated before.
        assembly ("memory-safe") {
            let signatureAt := mload(0x40)
            mstore(0x40, add(signatureAt, 0x20))
            mstore(add(call_, 0x140), sub(signatureAt, add(call_, 0x20)))
            // Were the string anywhere else, the call would be malformed: nothing may be pulled then.
            if xor(typeString, add(call_, 0x160)) {
                invalid()
            }
        }
    }

    /// @notice Sets what is the order's own. @return size of the call in bytes
    /// @dev The amount and the payer were checked to be clean when the order was hashed.
    function fill(PermitCall call_, SignedOrder calldata signed, bytes32 witness) internal pure returns (uint256 size) {
        bytes calldata signature = signed.signature;
        // Offsets in `signed`: payer 0x00, nonce 0x20, amount 0x40, deadline 0xc0.
        // Memory-safe: the prepared call, and temporary memory behind what is allocated. `send` comes next.
        assembly ("memory-safe") {
            let amount := calldataload(add(signed, 0x40))
            mstore(add(call_, 0x40), amount)
            mstore(add(call_, 0x60), calldataload(add(signed, 0x20)))
            mstore(add(call_, 0x80), calldataload(add(signed, 0xc0)))
            mstore(add(call_, 0xc0), amount)
            mstore(add(call_, 0xe0), calldataload(signed))
            mstore(add(call_, 0x100), witness)
            let signatureAt := add(add(call_, 0x20), mload(add(call_, 0x140)))
            mstore(signatureAt, signature.length)
            calldatacopy(add(signatureAt, 0x20), signature.offset, signature.length)
            size := add(sub(add(signatureAt, 0x20), add(call_, 0x1c)), signature.length)
        }
    }

    /// @notice Sends the call with at most `gasForPull`. @return success false where Permit2 or the token refused;
    /// their answer is not copied
    function send(
        PermitCall call_,
        uint256 size,
        IPermit2 permit2,
        uint256 gasForPull
    ) internal returns (bool success) {
        assembly ("memory-safe") {
            success := call(gasForPull, permit2, 0, add(call_, 0x1c), size, 0, 0)
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
