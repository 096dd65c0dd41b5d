// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SliceHash} from "../../libraries/SliceHash.sol";
import {Allocation, SliceRow} from "../../types/Slice.sol";

/// @title SliceHarness
/// @notice For tests: opens `SliceHash` to the outside.
contract SliceHarness {
    function allocation(bytes32 orderId, Allocation calldata self) external pure returns (bytes32) {
        return SliceHash.allocation(orderId, self);
    }

    function slice(bytes32 allocationId, uint256 index) external pure returns (bytes32) {
        return SliceHash.slice(allocationId, index);
    }

    function leaf(address node, bytes32 evidenceKey) external pure returns (bytes32) {
        return SliceHash.leaf(node, evidenceKey);
    }

    /// @notice `SliceHash.areAllocated`, and whether memory that was allocated before and after it is as it was.
    function areAllocated(
        Allocation calldata self,
        SliceRow[] calldata rows,
        bytes32[] calldata proof
    ) external pure returns (bool yes, bool kept) {
        bytes32[] memory before = new bytes32[](1);
        before[0] = self.root;
        yes = SliceHash.areAllocated(self, rows, proof);
        bytes32[] memory afterwards = new bytes32[](1);
        kept = before.length == 1 && before[0] == self.root && afterwards[0] == 0;
    }
}
