// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {CachedModulusLib, IModulusSource} from "../../crypto/CachedModulus.sol";
import {ITeeReceiptVerifier} from "../../interfaces/ITeeReceiptVerifier.sol";

/// @title CachedModulusHarness
/// @notice For tests: `CachedModulusLib` as a call, and a caller that asks for the pending modulus too late.
contract CachedModulusHarness {
    /// @notice Both moduli, read one after the other, and how much memory that took.
    function readBoth(
        address one,
        address other
    ) external view returns (bytes memory first, bytes memory second, uint256 allocated) {
        uint256 before;
        uint256 afterwards;
        assembly ("memory-safe") {
            before := mload(0x40)
        }
        first = CachedModulusLib.read(one);
        second = CachedModulusLib.read(other);
        assembly ("memory-safe") {
            afterwards := mload(0x40)
        }
        allocated = afterwards - before;
    }

    /// @notice Caches a key and asks for it in the same transaction, after `cacheKey` has ended.
    function cacheAndAsk(ITeeReceiptVerifier verifier, bytes32 teeId) external returns (bytes memory) {
        verifier.cacheKey(teeId);
        return IModulusSource(address(verifier)).pendingModulus();
    }
}
