// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title ITEERegistry
/// @notice The part of OpenGradient's TEE registry that is stable, and nothing else of it.
interface ITEERegistry {
    /// @notice Whether the enclave may serve now. Disabling works at once.
    function isTEEEnabled(bytes32 teeId) external view returns (bool);

    /// @notice Whether the enclave is enabled and its heartbeat is fresh.
    function isTEEActive(bytes32 teeId) external view returns (bool);

    /// @notice The enclave's RSA key as SPKI DER; `teeId` is its keccak256.
    function getTEEPublicKey(bytes32 teeId) external view returns (bytes memory);

    /// @notice The registration. Its first two members are stable and are all that may be decoded of the return data;
    /// `paymentAddress` is chosen freely by the registrant and proves nothing (F8).
    function tees(bytes32 teeId) external view returns (address owner, address paymentAddress);
}
