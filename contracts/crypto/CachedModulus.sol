// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice What a contract must offer to deploy `CachedModulus`.
interface IModulusSource {
    /// @notice The modulus that the contract now being deployed shall keep.
    function pendingModulus() external view returns (bytes memory);
}

/// @title CachedModulus
/// @notice Keeps a modulus as its code: a STOP, so that it can never run, and the modulus.
/// @dev It takes no constructor argument and asks its deployer instead, so that its init code is constant and its
/// CREATE2 address follows from the salt alone. A reader then needs no storage to find it.
contract CachedModulus {
    constructor() {
        bytes memory code = bytes.concat(hex"00", IModulusSource(msg.sender).pendingModulus());
        // Memory-safe: ends the constructor with memory that `code` owns.
        assembly ("memory-safe") {
            return(add(code, 0x20), mload(code))
        }
    }
}

/// @title CachedModulusLib
library CachedModulusLib {
    /// @notice The modulus that `cache` keeps; empty if there is no code.
    function read(address cache) internal view returns (bytes memory modulus) {
        // Memory-safe: allocates `modulus` by moving the free memory pointer, up to the next whole word.
        assembly ("memory-safe") {
            modulus := mload(0x40)
            let size := extcodesize(cache)
            let length := sub(size, iszero(iszero(size)))
            mstore(modulus, length)
            extcodecopy(cache, add(modulus, 0x20), 1, length)
            mstore(0x40, add(modulus, and(add(length, 0x3f), not(0x1f))))
        }
    }
}
