// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Order, Terms} from "../types/WorkOrder.sol";
import {Settlement} from "../types/Settlement.sol";

/// @title OrderHash
/// @notice EIP-712 struct hashes of what is signed about orders, and the order id.
library OrderHash {
    /// @notice A member of terms, an order or a row has bits set beyond its type.
    error OrderMalformed();

    bytes32 internal constant TERMS_TYPEHASH = keccak256(
        "Terms(address node,address facilitator,uint16 facilitatorBps,address verifier,bytes32 evidenceKey,bytes32 modelId)"
    );
    bytes32 internal constant JOB_TYPEHASH = keccak256("Job(address requester,bytes32 requestHash)");
    bytes32 internal constant WORK_ORDER_TYPEHASH = keccak256(
        "WorkOrder(Terms terms,Job job,uint40 claimBy)Job(address requester,bytes32 requestHash)Terms(address node,address facilitator,uint16 facilitatorBps,address verifier,bytes32 evidenceKey,bytes32 modelId)"
    );
    bytes32 internal constant SETTLEMENT_TYPEHASH = keccak256(
        "Settlement(bytes32 orderId,uint96 cumulativeFee,bytes32 receiptsRoot,uint64 receiptCount,bool close)"
    );
    bytes32 internal constant SETTLEMENT_BATCH_TYPEHASH = keccak256(
        "SettlementBatch(address node,bytes32 evidenceKey,Settlement[] settlements)Settlement(bytes32 orderId,uint96 cumulativeFee,bytes32 receiptsRoot,uint64 receiptCount,bool close)"
    );

    /// @dev What Permit2 appends to its own stub: the witness member, then referenced types in alphabetical order.
    string internal constant WITNESS_TYPE_STRING =
        "WorkOrder witness)Job(address requester,bytes32 requestHash)Terms(address node,address facilitator,uint16 facilitatorBps,address verifier,bytes32 evidenceKey,bytes32 modelId)TokenPermissions(address token,uint256 amount)WorkOrder(Terms terms,Job job,uint40 claimBy)";

    bytes32 private constant SEED_TAG = keccak256("InferenceEscrow.order");

    /// @notice What ties ids to one escrow: the chain id at deployment (F18) and the address.
    function seed(uint256 chainId, address escrow) internal pure returns (bytes32) {
        return keccak256(abi.encode(SEED_TAG, chainId, escrow));
    }

    function terms(Terms calldata self) internal pure returns (bytes32 hash) {
        bytes32 typehash = TERMS_TYPEHASH;
        bool malformed;
        // Offsets in `self`: node 0x00, facilitator 0x20, facilitatorBps 0x40, verifier 0x60.
        // Memory-safe: writes only behind the free memory pointer, and leaves nothing there.
        assembly ("memory-safe") {
            malformed := or(
                or(shr(160, calldataload(self)), shr(160, calldataload(add(self, 0x20)))),
                or(shr(16, calldataload(add(self, 0x40))), shr(160, calldataload(add(self, 0x60))))
            )
            let buffer := mload(0x40)
            mstore(buffer, typehash)
            calldatacopy(add(buffer, 0x20), self, 0xc0)
            hash := keccak256(buffer, 0xe0)
        }
        require(!malformed, OrderMalformed());
    }

    /// @notice The id of an order, and the struct hash of its `WorkOrder`: the witness of the payer's Permit2 message.
    /// @dev id = keccak256(abi.encode(seed, payer, nonce, amount, witness)); the rest is EIP-712.
    function order(
        bytes32 seed_,
        bytes32 termsHash,
        Order calldata self
    ) internal pure returns (bytes32 id, bytes32 witness) {
        bytes32 jobTypehash = JOB_TYPEHASH;
        bytes32 workOrderTypehash = WORK_ORDER_TYPEHASH;
        bool malformed;
        // Hashes calldata without decoding it. Offsets in `self`: payer 0x00, nonce 0x20, amount 0x40, requester 0x60,
        // requestHash 0x80, claimBy 0xa0.
        // Memory-safe: writes only behind the free memory pointer, and leaves nothing there.
        assembly ("memory-safe") {
            let claimBy := calldataload(add(self, 0xa0))
            malformed := or(
                or(shr(160, calldataload(self)), shr(160, calldataload(add(self, 0x60)))),
                or(shr(96, calldataload(add(self, 0x40))), shr(40, claimBy))
            )
            let buffer := mload(0x40)
            mstore(buffer, jobTypehash)
            calldatacopy(add(buffer, 0x20), add(self, 0x60), 0x40)
            let jobHash := keccak256(buffer, 0x60)

            mstore(buffer, workOrderTypehash)
            mstore(add(buffer, 0x20), termsHash)
            mstore(add(buffer, 0x40), jobHash)
            mstore(add(buffer, 0x60), claimBy)
            witness := keccak256(buffer, 0x80)

            mstore(buffer, seed_)
            calldatacopy(add(buffer, 0x20), self, 0x60)
            mstore(add(buffer, 0x80), witness)
            id := keccak256(buffer, 0xa0)
        }
        require(!malformed, OrderMalformed());
    }

    function settlement(Settlement memory self) internal pure returns (bytes32) {
        return keccak256(abi.encode(SETTLEMENT_TYPEHASH, self));
    }

    /// @notice A list of hashes, every one of which is still to be set.
    function list(uint256 length) internal pure returns (bytes32[] memory hashes) {
        // Memory-safe: allocates it, without the zeroing that Solidity would pay for.
        assembly ("memory-safe") {
            hashes := mload(0x40)
            mstore(hashes, length)
            mstore(0x40, add(add(hashes, 0x20), shl(5, length)))
        }
    }

    /// @notice `hashes[i] = hash`, where i is known to be below the length.
    function setInList(bytes32[] memory hashes, uint256 i, bytes32 hash) internal pure {
        // Memory-safe: writes the list's own word.
        assembly ("memory-safe") {
            mstore(add(add(hashes, 0x20), shl(5, i)), hash)
        }
    }

    function settlementBatch(
        address node,
        bytes32 evidenceKey,
        bytes32[] memory settlementHashes
    ) internal pure returns (bytes32) {
        bytes32 listHash;
        // Memory-safe: reads the list's words only.
        assembly ("memory-safe") {
            listHash := keccak256(add(settlementHashes, 0x20), shl(5, mload(settlementHashes)))
        }
        return keccak256(abi.encode(SETTLEMENT_BATCH_TYPEHASH, node, evidenceKey, listHash));
    }

    /// @notice Struct hash of a batch with one settlement.
    function settlementBatchOfOne(
        address node,
        bytes32 evidenceKey,
        bytes32 settlementHash
    ) internal pure returns (bytes32) {
        bytes32 listHash = keccak256(abi.encode(settlementHash));
        return keccak256(abi.encode(SETTLEMENT_BATCH_TYPEHASH, node, evidenceKey, listHash));
    }
}
