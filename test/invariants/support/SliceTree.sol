// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title SliceTree
/// @notice The tree of an allocation's leaves and the proof for some of them, written a second time from docs/SPEC.md
/// section 7. For tests: nothing is spared.
library SliceTree {
    function leaf(address node, bytes32 evidenceKey) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(0), node, evidenceKey));
    }

    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        bytes32[] memory level = _places(leaves);
        while (level.length > 1) level = _above(level);
        return level[0];
    }

    /// @param wanted whether a row is there for each leaf
    /// @return proof siblings that the rows do not give, level by level and from left to right
    function proofFor(bytes32[] memory leaves, bool[] memory wanted) internal pure returns (bytes32[] memory proof) {
        bytes32[] memory level = _places(leaves);
        bool[] memory known = new bool[](level.length);
        bool any = false;
        for (uint256 i = 0; i < wanted.length; ++i) (known[i], any) = (wanted[i], any || wanted[i]);
        if (!any) return proof;
        bytes32[] memory found = new bytes32[](level.length);
        uint256 length = 0;
        while (level.length > 1) {
            bool[] memory above = new bool[](level.length / 2);
            for (uint256 i = 0; i < above.length; ++i) {
                (bool left, bool right) = (known[2 * i], known[2 * i + 1]);
                above[i] = left || right;
                if (left != right) found[length++] = level[left ? 2 * i + 1 : 2 * i];
            }
            (level, known) = (_above(level), above);
        }
        proof = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) proof[i] = found[i];
    }

    function _places(bytes32[] memory leaves) private pure returns (bytes32[] memory level) {
        uint256 width = 1;
        while (width < leaves.length) width *= 2;
        level = new bytes32[](width);
        for (uint256 i = 0; i < leaves.length; ++i) level[i] = leaves[i];
    }

    function _above(bytes32[] memory level) private pure returns (bytes32[] memory above) {
        above = new bytes32[](level.length / 2);
        for (uint256 i = 0; i < above.length; ++i) {
            above[i] = keccak256(abi.encodePacked(level[2 * i], level[2 * i + 1]));
        }
    }
}
