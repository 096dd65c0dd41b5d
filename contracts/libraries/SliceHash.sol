// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Allocation, SliceRow} from "../types/Slice.sol";

/// @title SliceHash
/// @notice Ids of allocations and slices, and the tree that says whose slice is whose.
/// @dev The tree has `2^depth` places, the fewest that hold `count` leaves; places without a slice are zero. A leaf is
/// the hash of 53 bytes and an inner node of 64, so neither passes for the other. A leaf's place is its index: it is what
/// tells slices apart, so two slices of one index, of which one would burn the other, cannot be.
library SliceHash {
    bytes32 internal constant ALLOCATION_TYPEHASH = keccak256(
        "Allocation(bytes32 orderId,bytes32 root,uint8 count,uint96 cap,uint64 series)"
    );

    bytes1 private constant LEAF = 0x00;

    /// @notice EIP-712 struct hash of what the facilitator signs: the allocation's id.
    function allocation(bytes32 orderId, Allocation calldata self) internal pure returns (bytes32) {
        return keccak256(abi.encode(ALLOCATION_TYPEHASH, orderId, self.root, self.count, self.cap, self.series));
    }

    /// @notice The id that stands for a slice wherever an order's would stand: a hash of another length than that.
    function slice(bytes32 allocationId, uint256 index) internal pure returns (bytes32 id) {
        // Memory-safe: uses scratch space only.
        assembly ("memory-safe") {
            mstore(0x00, allocationId)
            mstore(0x20, index)
            id := keccak256(0x00, 0x40)
        }
    }

    /// @notice The leaf of a slice.
    function leaf(address node, bytes32 evidenceKey) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(LEAF, node, evidenceKey));
    }

    /// @notice Whether the rows are slices of the allocation: their indexes rise and are below its count, and their
    /// leaves lead to its root.
    /// @param proof what is missing to get from the leaves to the root: siblings, level by level from the leaves upwards,
    /// from left to right. No more, no less.
    function areAllocated(
        Allocation calldata self,
        SliceRow[] calldata rows,
        bytes32[] calldata proof
    ) internal pure returns (bool) {
        uint256 length = rows.length;
        if (length == 0) return proof.length == 0;
        uint256 count = self.count;
        uint256 nodes = _reserve(length);
        uint256 lowest = 0;
        for (uint256 i = 0; i < length; ++i) {
            SliceRow calldata row = rows[i];
            uint256 index = row.index;
            if (index < lowest || index >= count) return false;
            lowest = index + 1;
            _setNode(nodes, i, index, leaf(row.node, row.evidenceKey));
        }
        return _leadTo(self.root, nodes, length, _depth(count), proof);
    }

    /// @dev The least depth with `2^depth >= count`.
    function _depth(uint256 count) private pure returns (uint256 depth) {
        while (1 << depth < count) ++depth;
    }

    /// @dev Memory for nodes: a place on their level, and a hash. Temporary: the next allocation takes it.
    function _reserve(uint256 length) private pure returns (uint256 nodes) {
        // Memory-safe: allocates it, without the zeroing that Solidity would pay for.
        assembly ("memory-safe") {
            nodes := mload(0x40)
            mstore(0x40, add(nodes, shl(6, length)))
        }
    }

    function _setNode(uint256 nodes, uint256 i, uint256 place, bytes32 hash) private pure {
        // Memory-safe: within what `_reserve` allocated, since i is below its length.
        assembly ("memory-safe") {
            let node := add(nodes, shl(6, i))
            mstore(node, place)
            mstore(add(node, 0x20), hash)
        }
    }

    /// @dev Merges neighbours, and single nodes with the next sibling of the proof, level by level.
    function _leadTo(
        bytes32 root,
        uint256 nodes,
        uint256 length,
        uint256 depth,
        bytes32[] calldata proof
    ) private pure returns (bool yes) {
        // Memory-safe: scratch space, and the nodes' own memory: a level is written over the one below, never ahead of
        // what is still to be read. A proof that is too short is read beyond its end, and refused for that.
        assembly ("memory-safe") {
            let end := add(nodes, shl(6, length))
            let sibling := proof.offset
            for {} depth {
                depth := sub(depth, 1)
            } {
                let above := nodes
                for {
                    let node := nodes
                } lt(node, end) {} {
                    let place := mload(node)
                    let hash := mload(add(node, 0x20))
                    node := add(node, 0x40)
                    let isRight := and(place, 1)
                    mstore(shl(5, isRight), hash)
                    switch and(and(iszero(isRight), lt(node, end)), eq(mload(node), add(place, 1)))
                    case 1 {
                        mstore(0x20, mload(add(node, 0x20)))
                        node := add(node, 0x40)
                    }
                    default {
                        mstore(shl(5, iszero(isRight)), calldataload(sibling))
                        sibling := add(sibling, 0x20)
                    }
                    mstore(above, shr(1, place))
                    mstore(add(above, 0x20), keccak256(0x00, 0x40))
                    above := add(above, 0x40)
                }
                end := above
            }
            let used := eq(sibling, add(proof.offset, shl(5, proof.length)))
            yes := and(used, eq(mload(add(nodes, 0x20)), root))
        }
    }
}
