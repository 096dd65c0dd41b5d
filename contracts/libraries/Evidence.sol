// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {IReceiptVerifier} from "../interfaces/IReceiptVerifier.sol";
import {SettleRow} from "../types/Settlement.sol";
import {SliceRow} from "../types/Slice.sol";
import {OrderHash} from "./OrderHash.sol";
import {OrderState} from "./OrderState.sol";

/// @dev Memory pointer to a call of `IReceiptVerifier.verify` that is being put together. Rows are written where the
/// verifier reads them, so nothing is copied:
/// 0x00 selector (its low 4 bytes), 0x20 node, 0x40 evidenceKey, 0x60 digest, 0x80 and 0xa0 offsets of rows and
/// evidence, 0xc0 number of rows, 0xe0 rows of 0x140 bytes, then the evidence's length and bytes.
type Question is uint256;

/// @dev Memory pointer to one row of a question, laid out as the struct `Row` is encoded. Not a `Row memory`: Solidity
/// would allocate and zero a struct for each that a function returns.
type RowPointer is uint256;

using Evidence for Question global;
using RowReader for RowPointer global;

/// @title Evidence
/// @notice Asks a verifier that may be anybody's code.
library Evidence {
    uint256 private constant ROW_SIZE = 0x140;
    uint256 private constant ROWS_AT = 0xe0;

    /// @notice Starts a question about `rowCount` rows; each row must then be written.
    function prepare(
        address node,
        bytes32 evidenceKey,
        uint256 rowCount,
        bytes calldata evidence
    ) internal pure returns (Question question) {
        bytes4 selector = IReceiptVerifier.verify.selector;
        uint256 evidenceAt = ROWS_AT + rowCount * ROW_SIZE;
        // Memory-safe: allocates what it writes. The last word is zeroed first, so padding is clean.
        assembly ("memory-safe") {
            question := mload(0x40)
            let end := add(add(add(question, evidenceAt), 0x20), and(add(evidence.length, 0x1f), not(0x1f)))
            mstore(0x40, end)
            mstore(question, shr(224, selector))
            mstore(add(question, 0x20), node)
            mstore(add(question, 0x40), evidenceKey)
            mstore(add(question, 0x80), 0xa0)
            mstore(add(question, 0xa0), sub(evidenceAt, 0x20))
            mstore(add(question, 0xc0), rowCount)
            mstore(sub(end, 0x20), 0)
            mstore(add(question, evidenceAt), evidence.length)
            calldatacopy(add(add(question, evidenceAt), 0x20), evidence.offset, evidence.length)
        }
    }

    /// @notice Writes the row at `index`: what was given for an order, and the order's state before the call.
    function write(
        Question question,
        uint256 index,
        bytes32 id,
        SettleRow calldata given,
        OrderState state
    ) internal pure returns (RowPointer row) {
        uint256 amount = state.amount();
        uint256 released = state.released();
        uint256 openedAt = state.openedAt();
        bool malformed;
        // `given` holds requester and requestHash at 0x60, as the row does at 0x20; and cumulativeFee, receiptsRoot,
        // receiptCount and close at 0xc0, as the row does. The order's own members were checked when it was hashed.
        // Memory-safe: writes the row only.
        assembly ("memory-safe") {
            row := add(add(question, ROWS_AT), mul(index, ROW_SIZE))
            mstore(row, id)
            calldatacopy(add(row, 0x20), add(given, 0x60), 0x40)
            mstore(add(row, 0x60), amount)
            mstore(add(row, 0x80), released)
            mstore(add(row, 0xa0), openedAt)
            calldatacopy(add(row, 0xc0), add(given, 0xc0), 0x80)
            malformed := or(
                or(shr(96, mload(add(row, 0xc0))), shr(64, mload(add(row, 0x100)))),
                shr(1, mload(add(row, 0x120)))
            )
        }
        require(!malformed, OrderHash.OrderMalformed());
    }

    /// @notice Writes the one row of a slice's question: an order of `cap` for a session, never settled before, and
    /// closed by this.
    function writeSlice(
        Question question,
        bytes32 id,
        address requester,
        uint256 cap,
        uint256 openedAt,
        SliceRow calldata given
    ) internal pure returns (RowPointer row) {
        (uint96 fee, bytes32 receiptsRoot, uint64 receiptCount) = (given.fee, given.receiptsRoot, given.receiptCount);
        // Memory-safe: writes the row only, all of it.
        assembly ("memory-safe") {
            row := add(question, ROWS_AT)
            mstore(row, id)
            mstore(add(row, 0x20), requester)
            mstore(add(row, 0x40), 0)
            mstore(add(row, 0x60), cap)
            mstore(add(row, 0x80), 0)
            mstore(add(row, 0xa0), openedAt)
            mstore(add(row, 0xc0), fee)
            mstore(add(row, 0xe0), receiptsRoot)
            mstore(add(row, 0x100), receiptCount)
            mstore(add(row, 0x120), 1)
        }
    }

    /// @notice Where the next question will be.
    function mark() internal pure returns (uint256 freeMemory) {
        assembly ("memory-safe") {
            freeMemory := mload(0x40)
        }
    }

    /// @notice Gives back all memory from a mark on. Nothing that lies there may be used again.
    function reset(uint256 freeMemory) internal pure {
        assembly ("memory-safe") {
            mstore(0x40, freeMemory)
        }
    }

    /// @notice The row at `index`, which must be below the row count.
    function rowAt(Question question, uint256 index) internal pure returns (RowPointer row) {
        assembly ("memory-safe") {
            row := add(add(question, ROWS_AT), mul(index, ROW_SIZE))
        }
    }

    /// @notice Whether `verifier` accepts; false where it reverts or returns anything else.
    /// @dev Asked by staticcall with at most `gasLimit`, and at most one word of the answer is read, so it can neither act nor flood memory.
    function accepted(
        Question question,
        address verifier,
        bytes32 digest,
        uint256 evidenceLength,
        uint256 gasLimit
    ) internal view returns (bool) {
        bytes32 answer;
        bool success;
        // Memory-safe: writes the question's own digest; the answer goes to the scratch space.
        assembly ("memory-safe") {
            mstore(add(question, 0x60), digest)
            let evidenceAt := add(mload(add(question, 0xa0)), 0x20)
            let size := add(evidenceAt, and(add(evidenceLength, 0x1f), not(0x1f)))
            success := staticcall(gasLimit, verifier, add(question, 0x1c), add(size, 0x04), 0x00, 0x20)
            success := and(success, gt(returndatasize(), 0x1f))
            answer := mload(0x00)
        }
        // The whole word, so that no other value than the padded selector passes.
        return success && answer == bytes32(IReceiptVerifier.verify.selector);
    }
}

/// @title RowReader
/// @notice Members of a row; `Evidence.write` checked that they are clean.
library RowReader {
    function orderId(RowPointer self) internal pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := mload(self)
        }
    }

    function requestHash(RowPointer self) internal pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := mload(add(self, 0x40))
        }
    }

    function cumulativeFee(RowPointer self) internal pure returns (uint96 value) {
        assembly ("memory-safe") {
            value := mload(add(self, 0xc0))
        }
    }

    function receiptCount(RowPointer self) internal pure returns (uint64 value) {
        assembly ("memory-safe") {
            value := mload(add(self, 0x100))
        }
    }

    function close(RowPointer self) internal pure returns (bool value) {
        assembly ("memory-safe") {
            value := mload(add(self, 0x120))
        }
    }

    /// @notice Emits `OrderSettled`. The event's data is the row's own, from 0xc0 on, with the refund in the place of
    /// `close`, which must have been read before.
    function emitSettled(RowPointer self, uint256 refund) internal {
        bytes32 topic = IInferenceEscrow.OrderSettled.selector;
        // Memory-safe: the row's own memory.
        assembly ("memory-safe") {
            mstore(add(self, 0x120), refund)
            log2(add(self, 0xc0), 0x80, topic, mload(self))
        }
    }

    /// @notice EIP-712 hash of the settlement in the row: the order id, and the other members, in their order, from
    /// 0xc0 on.
    function settlementHash(RowPointer self) internal pure returns (bytes32 hash) {
        bytes32 typehash = OrderHash.SETTLEMENT_TYPEHASH;
        // Memory-safe: writes only behind the free memory pointer, and leaves nothing there.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, typehash)
            mstore(add(buffer, 0x20), mload(self))
            mcopy(add(buffer, 0x40), add(self, 0xc0), 0x80)
            hash := keccak256(buffer, 0xc0)
        }
    }
}
