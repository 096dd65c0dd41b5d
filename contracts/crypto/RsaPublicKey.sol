// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {RsaPss} from "./RsaPss.sol";

/// @title RsaPublicKey
/// @notice Reads the modulus out of an RSA public key in SubjectPublicKeyInfo DER (RFC 5280, RFC 8017).
/// @dev DER has one form for each key, so there is nothing to parse: for a modulus of `k` bytes everything around it is
/// known, and any difference is refused. That leaves no room for other algorithms or parameters, for lengths that are
/// not minimal, for a second sign byte, for another exponent, or for bytes after the end.
library RsaPublicKey {
    /// @notice The key is not as long as one of 2048, 3072 or 4096 bits.
    error RsaKeyLengthUnsupported(uint256 length);
    /// @notice The bytes around the modulus are not those of rsaEncryption with NULL parameters and exponent 65537.
    error RsaKeyNotCanonical();
    /// @notice The modulus is even, or shorter than its length in bytes says.
    error RsaModulusUnsupported();

    /// @dev Bytes before the modulus: up to and with the zero that keeps it positive.
    uint256 private constant HEAD = 33;
    /// @dev Bytes after it: the exponent.
    uint256 private constant TAIL = 5;

    /// @notice The modulus of `der`, big-endian, 256, 384 or 512 bytes.
    function modulusOf(bytes memory der) internal pure returns (bytes memory modulus) {
        uint256 length = der.length;
        require(
            length == HEAD + 256 + TAIL || length == HEAD + 384 + TAIL || length == HEAD + 512 + TAIL,
            RsaKeyLengthUnsupported(length)
        );
        uint256 k = length - HEAD - TAIL;

        modulus = _slice(der, HEAD, k);
        // Casts are safe: k is at most 512.
        bytes memory canonical = abi.encodePacked(
            hex"3082", // SubjectPublicKeyInfo
            uint16(k + 34),
            hex"300d06092a864886f70d0101010500", // rsaEncryption, NULL
            hex"0382", // BIT STRING without unused bits
            uint16(k + 15),
            hex"00",
            hex"3082", // RSAPublicKey
            uint16(k + 10),
            hex"0282", // modulus
            uint16(k + 1),
            hex"00",
            modulus,
            hex"0203010001" // exponent
        );
        require(keccak256(der) == keccak256(canonical), RsaKeyNotCanonical());
        require(RsaPss.isModulus(modulus), RsaModulusUnsupported());
    }

    /// @dev `length` bytes of `data` from `start`; the caller knows that they are there.
    function _slice(bytes memory data, uint256 start, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        // Memory-safe: copies into what was just allocated.
        assembly ("memory-safe") {
            mcopy(add(part, 0x20), add(add(data, 0x20), start), length)
        }
    }
}
