// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";

import {CachedModulus, CachedModulusLib, IModulusSource} from "../crypto/CachedModulus.sol";
import {RsaPss} from "../crypto/RsaPss.sol";
import {RsaPublicKey} from "../crypto/RsaPublicKey.sol";
import {IReceiptVerifier} from "../interfaces/IReceiptVerifier.sol";
import {ITEERegistry} from "../interfaces/ITEERegistry.sol";
import {ITeeReceiptVerifier} from "../interfaces/ITeeReceiptVerifier.sol";
import {Row} from "../types/Settlement.sol";

/// @title TeeReceiptVerifier
contract TeeReceiptVerifier is ITeeReceiptVerifier, IModulusSource {
    /// @dev One signature over the digest. Later forms take the next numbers.
    uint8 private constant FORM_DIGEST = 0;
    /// @dev Form and teeId.
    uint256 private constant EVIDENCE_HEAD = 33;

    /// @inheritdoc ITeeReceiptVerifier
    ITEERegistry public immutable REGISTRY;

    bytes32 private immutable CACHE_CODE_HASH;

    /// @dev The enclave whose key `cacheKey` is storing; zero outside of it.
    bytes32 private transient _pendingTeeId;

    constructor(ITEERegistry registry) {
        require(address(registry).code.length != 0, RegistryWithoutCode(address(registry)));
        REGISTRY = registry;
        CACHE_CODE_HASH = keccak256(type(CachedModulus).creationCode);
    }

    /// @inheritdoc ITeeReceiptVerifier
    function cacheKey(bytes32 teeId) external returns (address cache) {
        cache = cacheOf(teeId);
        if (cache.code.length != 0) return cache;

        _pendingTeeId = teeId;
        new CachedModulus{salt: teeId}(); // lands on `cache`; asks for `pendingModulus`, which checks the key
        _pendingTeeId = 0;

        emit KeyCached(teeId, cache);
    }

    /// @inheritdoc IModulusSource
    function pendingModulus() external view returns (bytes memory) {
        bytes32 teeId = _pendingTeeId;
        require(teeId != 0, NoKeyPending());
        return _registeredModulus(teeId);
    }

    /// @inheritdoc IReceiptVerifier
    function verify(
        address node,
        bytes32 evidenceKey,
        bytes32 digest,
        Row[] calldata, // the digest covers them
        bytes calldata evidence
    ) external view returns (bytes4) {
        require(evidence.length >= EVIDENCE_HEAD, EvidenceTooShort(evidence.length, EVIDENCE_HEAD));
        uint8 form = uint8(evidence[0]);
        require(form == FORM_DIGEST, EvidenceFormUnknown(form));

        bytes32 teeId = bytes32(evidence[1:EVIDENCE_HEAD]);
        _requireEntitled(teeId, evidenceKey, node);
        require(_isSignedBy(teeId, digest, evidence[EVIDENCE_HEAD:]), TeeSignatureInvalid(teeId, digest));
        return IReceiptVerifier.verify.selector;
    }

    /// @inheritdoc ITeeReceiptVerifier
    function cacheOf(bytes32 teeId) public view returns (address) {
        return Create2.computeAddress(teeId, CACHE_CODE_HASH);
    }

    /// @dev The enclave may speak for orders of `node` that name `evidenceKey`, now.
    function _requireEntitled(bytes32 teeId, bytes32 evidenceKey, address node) private view {
        if (evidenceKey == bytes32(uint256(uint160(node)))) {
            // Takes the first two words of what may be more, and reverts on less or on an address that is not clean.
            (address owner, ) = REGISTRY.tees(teeId);
            // An unknown enclave has owner zero, so zero owns nothing.
            require(owner == node && owner != address(0), TeeNotOwnedByNode(teeId, node, owner));
        } else {
            require(teeId == evidenceKey, TeeNotPinned(evidenceKey, teeId));
        }
        require(REGISTRY.isTEEEnabled(teeId), TeeNotEnabled(teeId));
    }

    /// @dev `signature` is the enclave's over `digest`. What the cache holds needs no check: only this contract can
    /// deploy to that address, only `cacheKey` does, and only with a modulus that matched the teeId.
    function _isSignedBy(bytes32 teeId, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        bytes memory modulus = CachedModulusLib.read(cacheOf(teeId));
        if (modulus.length == 0) modulus = _registeredModulus(teeId);
        return RsaPss.verifyDigest(modulus, digest, signature);
    }

    function _registeredModulus(bytes32 teeId) private view returns (bytes memory) {
        bytes memory der = REGISTRY.getTEEPublicKey(teeId);
        bytes32 keyHash = keccak256(der);
        require(keyHash == teeId, TeeKeyMismatch(teeId, keyHash));
        return RsaPublicKey.modulusOf(der);
    }
}
