// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {RsaPss} from "../crypto/RsaPss.sol";
import {RsaPublicKey} from "../crypto/RsaPublicKey.sol";

/// @title RsaPssHarness
/// @notice The libraries `RsaPss` and `RsaPublicKey` as calls, for tests.
contract RsaPssHarness {
    /// @notice `RsaPublicKey.modulusOf`.
    function modulusOf(bytes calldata der) external pure returns (bytes memory) {
        return RsaPublicKey.modulusOf(der);
    }

    /// @notice `RsaPss.verify`.
    function verify(bytes calldata modulus, bytes32 mHash, bytes calldata signature) external view returns (bool) {
        return RsaPss.verify(modulus, mHash, signature);
    }

    /// @notice `RsaPss.verifyDigest`.
    function verifyDigest(
        bytes calldata modulus,
        bytes32 digest,
        bytes calldata signature
    ) external view returns (bool) {
        return RsaPss.verifyDigest(modulus, digest, signature);
    }

    /// @notice Key, message and signature as they come, as test vectors have them.
    function verifyMessage(
        bytes calldata der,
        bytes calldata message,
        bytes calldata signature
    ) external view returns (bool) {
        return RsaPss.verify(RsaPublicKey.modulusOf(der), sha256(message), signature);
    }
}
