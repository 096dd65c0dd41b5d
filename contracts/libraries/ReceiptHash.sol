// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {CloseRequest, InferenceReceipt, InferenceRequest, Voucher} from "../types/Receipt.sol";

/// @title ReceiptHash
/// @notice EIP-712 struct hashes of requests and receipts, and the tree that an order's receipts are leaves of: the
/// shape of RFC 9162, hashed with keccak256, leaves and inner nodes in domains of their own.
library ReceiptHash {
    bytes32 internal constant REQUEST_TYPEHASH = keccak256(
        "InferenceRequest(bytes32 orderId,address node,uint64 index,bytes32 requestHash,uint96 maxFee,uint40 expiresAt)"
    );
    bytes32 internal constant RECEIPT_TYPEHASH = keccak256(
        "InferenceReceipt(bytes32 orderId,address node,uint64 seq,bytes32 requestId,bytes32 responseHash,uint96 fee,uint96 cumulativeFee,uint40 timestamp)"
    );
    bytes32 internal constant VOUCHER_TYPEHASH = keccak256(
        "Voucher(bytes32 orderId,address node,uint96 maxCumulativeFee)"
    );
    bytes32 internal constant CLOSE_REQUEST_TYPEHASH = keccak256("CloseRequest(bytes32 orderId,uint40 expiresAt)");

    /// @notice Root of the tree without a leaf.
    bytes32 internal constant EMPTY_ROOT = keccak256("");

    bytes1 private constant LEAF = 0x00;

    /// @notice Struct hash of a request: its identity in receipts.
    function request(InferenceRequest memory self) internal pure returns (bytes32) {
        return keccak256(abi.encode(REQUEST_TYPEHASH, self));
    }

    function receipt(InferenceReceipt memory self) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT_TYPEHASH, self));
    }

    function voucher(Voucher memory self) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOUCHER_TYPEHASH, self));
    }

    function closeRequest(CloseRequest memory self) internal pure returns (bytes32) {
        return keccak256(abi.encode(CLOSE_REQUEST_TYPEHASH, self));
    }

    /// @notice A receipt's leaf, from its struct hash.
    function leaf(bytes32 receiptHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(LEAF, receiptHash));
    }

    /// @notice The node above `left` and `right`: `keccak256(0x01 ‖ left ‖ right)`.
    function inner(bytes32 left, bytes32 right) internal pure returns (bytes32 hash) {
        // Memory-safe: writes only behind the free memory pointer, and leaves nothing there.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 0x01)
            mstore(add(buffer, 0x01), left)
            mstore(add(buffer, 0x21), right)
            hash := keccak256(buffer, 0x41)
        }
    }

    /// @notice Root of the tree of `leaves`, which are overwritten. For tests and tools: the cost grows with the leaves.
    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        uint256 width = leaves.length;
        if (width == 0) return EMPTY_ROOT;
        // Pairs level by level; a last node without a partner rises as it is, which gives the RFC's shape.
        while (width > 1) {
            uint256 pairs = width / 2;
            for (uint256 i = 0; i < pairs; ++i) {
                leaves[i] = inner(leaves[2 * i], leaves[2 * i + 1]);
            }
            if (width % 2 == 1) leaves[pairs] = leaves[width - 1];
            width = pairs + (width % 2);
        }
        return leaves[0];
    }

    /// @notice Whether `leaf_` stands at `index` of the tree of `size` leaves that has `root_` (RFC 9162, 2.1.3.2).
    /// @dev Proves something only if the caller hashed the leaf itself and has `root_` and `size` from evidence: `size`
    /// says where a proof must end, and an inner node in the place of a leaf is kept out by its domain alone.
    /// @param proof siblings from the leaf upwards; one too short or too long proves nothing
    function verifyInclusion(
        bytes32 root_,
        uint64 size,
        uint64 index,
        bytes32 leaf_,
        bytes32[] calldata proof
    ) internal pure returns (bool) {
        if (index >= size) return false;
        uint64 last = size - 1; // place of the rightmost node, on the level of `index`
        bytes32 hash = leaf_;
        for (uint256 i = 0; i < proof.length; ++i) {
            if (last == 0) return false;
            if (index % 2 == 1 || index == last) {
                hash = inner(proof[i], hash);
                // The rightmost node rises without a partner while its place is even.
                while (index % 2 == 0 && index != 0) {
                    index /= 2;
                    last /= 2;
                }
            } else {
                hash = inner(hash, proof[i]);
            }
            index /= 2;
            last /= 2;
        }
        return last == 0 && hash == root_;
    }
}
