// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title SignatureCheck
/// @notice Whether an account signed a digest: ECDSA of 65 bytes, or ERC-1271.
library SignatureCheck {
    /// @notice Whether `signer` signed `digest`. Nobody signs for the zero address.
    /// @dev ECDSA first: most signers have no code, and one that has some (EIP-7702) still has its key.
    function isSignedBy(address signer, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        return
            isSignedByKey(signer, digest, signature) ||
            SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature);
    }

    /// @notice Whether `signer`'s own key signed `digest`: no code is asked.
    /// @dev A signature's other form, with a high s, is fine: signatures have no identity here (F21), and what they
    /// allow happens once.
    function isSignedByKey(address signer, bytes32 digest, bytes calldata signature) internal pure returns (bool) {
        if (signature.length != 65) return false;
        address recovered = ecrecover(
            digest,
            uint8(signature[64]),
            bytes32(signature[0:32]),
            bytes32(signature[32:64])
        );
        return recovered == signer && signer != address(0); // a failed recovery gives zero
    }
}
