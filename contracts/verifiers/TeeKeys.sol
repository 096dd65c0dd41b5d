// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";

import {CachedModulus, CachedModulusLib, IModulusSource} from "../crypto/CachedModulus.sol";
import {RsaPss} from "../crypto/RsaPss.sol";
import {RsaPublicKey} from "../crypto/RsaPublicKey.sol";
import {ITEERegistry} from "../interfaces/ITEERegistry.sol";
import {ITeeKeys} from "../interfaces/ITeeKeys.sol";

/// @title TeeKeys
abstract contract TeeKeys is ITeeKeys, IModulusSource {
    /// @inheritdoc ITeeKeys
    ITEERegistry public immutable REGISTRY;

    bytes32 private immutable CACHE_CODE_HASH;

    /// @dev The enclave whose key `cacheKey` is storing; zero outside of it.
    bytes32 private transient _pendingTeeId;

    constructor(ITEERegistry registry) {
        require(address(registry).code.length != 0, RegistryWithoutCode(address(registry)));
        REGISTRY = registry;
        CACHE_CODE_HASH = keccak256(type(CachedModulus).creationCode);
    }

    /// @inheritdoc ITeeKeys
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

    /// @inheritdoc ITeeKeys
    function cacheOf(bytes32 teeId) public view returns (address) {
        return Create2.computeAddress(teeId, CACHE_CODE_HASH);
    }

    function _requireEnabled(bytes32 teeId) internal view {
        require(REGISTRY.isTEEEnabled(teeId), TeeNotEnabled(teeId));
    }

    /// @dev `signature` is the enclave's over `digest`.
    function _isSignedBy(bytes32 teeId, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        return RsaPss.verifyDigest(_modulusOf(teeId), digest, signature);
    }

    /// @dev What the cache holds needs no check: only this contract can deploy to that address, only `cacheKey` does, and
    /// only with a modulus that matched the teeId.
    function _modulusOf(bytes32 teeId) internal view returns (bytes memory modulus) {
        modulus = CachedModulusLib.read(cacheOf(teeId));
        if (modulus.length == 0) modulus = _registeredModulus(teeId);
    }

    function _registeredModulus(bytes32 teeId) private view returns (bytes memory) {
        bytes memory der = REGISTRY.getTEEPublicKey(teeId);
        bytes32 keyHash = keccak256(der);
        require(keyHash == teeId, TeeKeyMismatch(teeId, keyHash));
        return RsaPublicKey.modulusOf(der);
    }
}
