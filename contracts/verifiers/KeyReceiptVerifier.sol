// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IReceiptVerifier} from "../interfaces/IReceiptVerifier.sol";
import {Row} from "../types/Settlement.sol";

/// @title KeyReceiptVerifier
/// @notice Evidence is one signature over the batch's digest: ECDSA of 65 bytes, or ERC-1271.
/// @dev `evidenceKey` zero means the node's address; otherwise it is the signer's address with clean high bits.
contract KeyReceiptVerifier is IReceiptVerifier {
    /// @notice `evidenceKey` is neither zero nor an address.
    error EvidenceKeyInvalid(bytes32 evidenceKey);
    /// @notice Nobody, or somebody else, signed the digest.
    error SignatureInvalid(address signer, bytes32 digest);

    /// @inheritdoc IReceiptVerifier
    function verify(
        address node,
        bytes32 evidenceKey,
        bytes32 digest,
        Row[] calldata,
        bytes calldata evidence
    ) external view returns (bytes4) {
        require(uint256(evidenceKey) >> 160 == 0, EvidenceKeyInvalid(evidenceKey));
        address signer = evidenceKey == 0 ? node : address(uint160(uint256(evidenceKey))); // high bits are clean
        // ECDSA first: most signers have no code, and one that has some (EIP-7702) still has its key. A signature's other
        // form with a high s is fine: evidence has no identity, and settling twice changes nothing.
        if (evidence.length == 65) {
            address recovered = ecrecover(
                digest,
                uint8(evidence[64]),
                bytes32(evidence[0:32]),
                bytes32(evidence[32:64])
            );
            if (recovered == signer && signer != address(0)) return IReceiptVerifier.verify.selector;
        }
        require(
            SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, evidence),
            SignatureInvalid(signer, digest)
        );
        return IReceiptVerifier.verify.selector;
    }
}
