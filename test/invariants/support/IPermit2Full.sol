// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title IPermit2Full
/// @notice What payers may do with the real Permit2, beside what the escrow calls.
interface IPermit2Full {
    function DOMAIN_SEPARATOR() external view returns (bytes32);

    /// @notice A bit of the word `wordPos` is one where the nonce was used.
    function nonceBitmap(address owner, uint256 wordPos) external view returns (uint256);

    /// @notice Burns nonces of the caller.
    function invalidateUnorderedNonces(uint256 wordPos, uint256 mask) external;
}
