// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title RsaPss
/// @notice RSASSA-PSS verification (RFC 8017, sections 8.1.2 and 9.1.2) for one set of parameters: SHA-256,
/// MGF1 with SHA-256, a salt of exactly 32 bytes, public exponent 65537, moduli of exactly 2048, 3072 or 4096 bits.
/// @dev A signature is as long as its modulus and the modulus comes from the key alone: were its length taken from the
/// signature, a forger would choose a modulus that he can factor.
///
/// For these sizes the encoded message has `k = 32 m` bytes (m = 8, 12, 16) and falls on whole words:
///
///     EM = maskedDB (k - 33 bytes) | H (32 bytes) | 0xbc
///     DB = PS (k - 66 zero bytes) | 0x01 | salt (32 bytes)
///     words 0 .. m-4 of DB: PS;  word m-3: 30 bytes of PS, 0x01, salt[0];  word m-2: salt[1..31], then a byte of H
library RsaPss {
    /// @notice Whether `modulus` is one that this library verifies with: 2048, 3072 or 4096 bits exactly, and odd.
    function isModulus(bytes memory modulus) internal pure returns (bool) {
        uint256 k = modulus.length;
        if (k != 256 && k != 384 && k != 512) return false;
        uint256 first;
        uint256 last;
        // Memory-safe: reads the first and the last word of `modulus`, which has at least 256 bytes.
        assembly ("memory-safe") {
            first := mload(add(modulus, 0x20))
            last := mload(add(modulus, k))
        }
        return first >> 255 == 1 && last & 1 == 1;
    }

    /// @notice Whether `signature` is the key's over the 32 bytes of `digest`, which are hashed once more with SHA-256,
    /// as in `sign('sha256', digest, { padding: RSA_PKCS1_PSS_PADDING, saltLength: 32 })`.
    function verifyDigest(bytes memory modulus, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        bool ok;
        bytes32 mHash;
        // Memory-safe: uses scratch space only.
        assembly ("memory-safe") {
            mstore(0x00, digest)
            ok := staticcall(gas(), 0x02, 0x00, 0x20, 0x00, 0x20)
            mHash := mload(0x00)
        }
        return ok && verify(modulus, mHash, signature);
    }

    /// @notice Whether `signature` is the key's over the message whose SHA-256 is `mHash`.
    /// @param modulus big-endian; anything that is not `isModulus` is refused
    function verify(bytes memory modulus, bytes32 mHash, bytes calldata signature) internal view returns (bool) {
        if (!isModulus(modulus) || signature.length != modulus.length) return false;
        if (!_isBelow(signature, modulus)) return false; // else s + n would be a second signature

        (bool ok, bytes memory encoded) = _power(signature, modulus);
        return ok && _isEncodingOf(encoded, mHash);
    }

    /// @dev `a < b` as big-endian integers of one length, a multiple of 32.
    function _isBelow(bytes calldata a, bytes memory b) private pure returns (bool below) {
        // Memory-safe: only reads, within `b`.
        assembly ("memory-safe") {
            let words := add(b, 0x20)
            for {
                let i := 0
            } lt(i, a.length) {
                i := add(i, 0x20)
            } {
                let x := calldataload(add(a.offset, i))
                let y := mload(add(words, i))
                if xor(x, y) {
                    below := lt(x, y)
                    break
                }
            }
        }
    }

    /// @dev `signature ^ 65537 mod modulus` by the precompile of EIP-198, as long as the modulus.
    function _power(
        bytes calldata signature,
        bytes memory modulus
    ) private view returns (bool ok, bytes memory encoded) {
        // Memory-safe: allocates `encoded` by moving the free memory pointer, a multiple of 32 since the modulus has
        // whole words, and builds the input behind it, in memory that is free and is not used after the block.
        assembly ("memory-safe") {
            let k := mload(modulus)
            encoded := mload(0x40)
            mstore(encoded, k)
            let result := add(encoded, 0x20)
            let input := add(result, k)
            mstore(0x40, input)

            mstore(input, k) // length of the base
            mstore(add(input, 0x20), 3) // length of the exponent
            mstore(add(input, 0x40), k) // length of the modulus
            let cursor := add(input, 0x60)
            calldatacopy(cursor, signature.offset, k)
            cursor := add(cursor, k)
            mstore(cursor, shl(232, 0x010001))
            mcopy(add(cursor, 3), add(modulus, 0x20), k)

            ok := staticcall(gas(), 0x05, input, add(0x63, shl(1, k)), result, k)
            ok := and(ok, eq(returndatasize(), k)) // false where a chain has no such precompile
        }
    }

    /// @dev EMSA-PSS-VERIFY. Every check is made before the answer: one wrong bit anywhere refuses.
    function _isEncodingOf(bytes memory encoded, bytes32 mHash) private view returns (bool valid) {
        // Memory-safe: reads within `encoded`, whose length is a multiple of 32 and at least 256; writes to scratch
        // space and to free memory that is not used after the block.
        assembly ("memory-safe") {
            let k := mload(encoded)
            let masked := add(encoded, 0x20)
            let h := mload(sub(add(masked, k), 33))

            // The top bit is zero, since the encoding has one bit less than the modulus; the trailer is 0xbc.
            valid := and(iszero(shr(255, mload(masked))), eq(byte(31, mload(add(encoded, k))), 0xbc))

            // MGF1: SHA-256(H | counter), the counter being four bytes of which only the last is ever not zero.
            let seed := mload(0x40)
            mstore(seed, h)
            mstore(add(seed, 0x20), 0)

            // All of PS but its last 30 bytes. The mask's top bit is dropped, as DB has none there.
            let split := sub(shr(5, k), 3)
            let padding := 0
            for {
                let i := 0
            } lt(i, split) {
                i := add(i, 1)
            } {
                mstore8(add(seed, 0x23), i)
                valid := and(valid, staticcall(gas(), 0x02, seed, 0x24, 0x00, 0x20))
                padding := or(padding, shl(iszero(i), xor(mload(masked), mload(0x00))))
                masked := add(masked, 0x20)
            }
            valid := and(valid, iszero(padding))

            // The last 30 bytes of PS, the 0x01 that ends it, and the salt's first byte.
            mstore8(add(seed, 0x23), split)
            valid := and(valid, staticcall(gas(), 0x02, seed, 0x24, 0x00, 0x20))
            let border := xor(mload(masked), mload(0x00))
            valid := and(valid, eq(shr(8, border), 1))

            // The salt's other 31 bytes; the word's last byte is H's first and falls away.
            mstore8(add(seed, 0x23), add(split, 1))
            valid := and(valid, staticcall(gas(), 0x02, seed, 0x24, 0x00, 0x20))
            let salt := or(shl(248, border), shr(8, xor(mload(add(masked, 0x20)), mload(0x00))))

            // H = SHA-256(eight zero bytes | mHash | salt)
            mstore(seed, 0)
            mstore(add(seed, 0x08), mHash)
            mstore(add(seed, 0x28), salt)
            valid := and(valid, staticcall(gas(), 0x02, seed, 0x48, 0x00, 0x20))
            valid := and(valid, eq(mload(0x00), h))
        }
    }
}
