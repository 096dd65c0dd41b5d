// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title NodeKey
/// @notice The key that speaks for a node where `evidenceKey` is an address.
library NodeKey {
    /// @notice `evidenceKey` is neither zero nor an address.
    error EvidenceKeyInvalid(bytes32 evidenceKey);

    /// @notice The node's own address where `evidenceKey` is zero, otherwise the address that it is.
    function signerOf(bytes32 evidenceKey, address node) internal pure returns (address) {
        require(uint256(evidenceKey) >> 160 == 0, EvidenceKeyInvalid(evidenceKey));
        return evidenceKey == 0 ? node : address(uint160(uint256(evidenceKey))); // high bits are clean
    }
}
