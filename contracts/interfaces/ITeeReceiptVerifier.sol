// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IReceiptVerifier} from "./IReceiptVerifier.sol";
import {ITEERegistry} from "./ITEERegistry.sol";

/// @title ITeeReceiptVerifier
/// @notice Takes the RSA-PSS signature of an enclave, registered and enabled at that moment, as evidence.
///
/// `evidenceKey` is one of
/// - a teeId: that enclave and no other;
/// - `bytes32(uint256(uint160(node)))`: any enclave whose owner in the registry is the node. The payment address in the
///   registry counts for nothing: a registrant chooses it freely, and could name a stranger's node (F8). This form costs
///   more, since the registry reads its whole record of the enclave, certificate included, to tell the owner.
///
/// Evidence begins with one byte for its form, and with the enclave:
/// - form 0: `abi.encodePacked(uint8(0), bytes32 teeId, bytes signature)`, one signature over the digest of the batch,
///   RSASSA-PSS with SHA-256, MGF1-SHA-256 and a salt of 32 bytes. The 32 bytes of the digest are the message, so they
///   are hashed once more.
///
/// Trusted: the registry, to say which enclaves are enabled and who owns them. Not trusted for keys: a teeId is the
/// keccak256 of the key's DER, so the registry can withhold a key but not replace it.
///
/// The *type* of an enclave is not checked: the registry gives it only inside a struct that has changed between its
/// versions, or as lists without a bound. A payer who pins a teeId knows the type of what he pins. In the owner form
/// any enclave of the node may sign, whatever its type; what it signs is bound to the batch either way.
interface ITeeReceiptVerifier is IReceiptVerifier {
    /// @notice The modulus of an enclave's key is in code storage from now on.
    /// @param cache the account whose code holds it
    event KeyCached(bytes32 indexed teeId, address cache);

    /// @notice The registry's address has no code.
    error RegistryWithoutCode(address registry);
    /// @notice The evidence is too short to name its form and an enclave.
    error EvidenceTooShort(uint256 length, uint256 minimum);
    /// @notice The first byte of the evidence is no known form.
    error EvidenceFormUnknown(uint8 form);
    /// @notice The enclave is not the one that the orders pin.
    error TeeNotPinned(bytes32 evidenceKey, bytes32 teeId);
    /// @notice The orders take any enclave of their node, and this one is somebody else's.
    error TeeNotOwnedByNode(bytes32 teeId, address node, address owner);
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
