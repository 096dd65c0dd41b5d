// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ITEERegistry} from "./ITEERegistry.sol";

/// @title ITeeKeys
/// @notice What verifiers of enclaves' signatures share: the registry, and moduli kept in code storage.
///
/// Trusted: the registry, to say which enclaves are enabled and who owns them. Not trusted for keys: a teeId is the
/// keccak256 of the key's DER, so the registry can withhold a key but not replace it.
///
/// Each verifier keeps its own cache: its address is part of the cache's.
interface ITeeKeys {
    /// @notice The modulus of an enclave's key is in code storage from now on.
    /// @param cache the account whose code holds it
    event KeyCached(bytes32 indexed teeId, address cache);

    /// @notice The registry's address has no code.
    error RegistryWithoutCode(address registry);
    /// @notice The registry does not say that the enclave is enabled.
    error TeeNotEnabled(bytes32 teeId);
    /// @notice The registry's key for the enclave is not the one that the teeId commits to.
    error TeeKeyMismatch(bytes32 teeId, bytes32 keyHash);
    /// @notice The signature is not the enclave's over the digest.
    error TeeSignatureInvalid(bytes32 teeId, bytes32 digest);
    /// @notice `pendingModulus` was asked outside of `cacheKey`.
    error NoKeyPending();

    /// @notice The registry that is asked.
    function REGISTRY() external view returns (ITEERegistry);

    /// @notice Puts the modulus of an enclave's key into code storage, so that verifying with it costs less. Open to
    /// anyone, needed by no one: a key that is not cached is read from the registry each time. A key that is cached
    /// already stays as it is. Emits `KeyCached`.
    /// @dev Reverts with `TeeKeyMismatch`, or an error of `RsaPublicKey` if the key is not RSA of 2048, 3072 or 4096 bits
    /// with exponent 65537 in canonical DER.
    /// @return cache the account whose code holds the modulus
    function cacheKey(bytes32 teeId) external returns (address cache);

    /// @notice Where the modulus of an enclave's key is, or will be, cached. No code there: not cached.
    function cacheOf(bytes32 teeId) external view returns (address cache);
}
