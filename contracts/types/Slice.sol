// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice Slices of a routed order that its facilitator reserves together. What it signs has the order's id in front:
/// `Allocation(bytes32 orderId,bytes32 root,uint8 count,uint96 cap,uint64 series)`, whose struct hash is the
/// allocation's id.
struct Allocation {
    /// @dev Root of the tree of `count` leaves `keccak256(0x00 ‖ node ‖ evidenceKey)`; see `SliceHash`.
    bytes32 root;
    /// @dev Slices, at most 255: the bitmap of those not settled is one word.
    uint8 count;
    /// @dev Base units that each slice holds for its node.
    uint96 cap;
    /// @dev Any number that tells this allocation from an equal one of the same order.
    uint64 series;
}

/// @notice The one and final settlement of a slice.
struct SliceRow {
    /// @dev Place of the leaf, and of the slice.
    uint8 index;
    address node;
    bytes32 evidenceKey;
    /// @dev Base units, at most the allocation's cap. Zero gives the slice back.
    uint96 fee;
    bytes32 receiptsRoot;
    uint64 receiptCount;
    /// @dev What the order's verifier takes for a batch of this one settlement, with `close`.
    bytes evidence;
}
