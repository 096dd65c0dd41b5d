// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReceiptVerifier} from "../interfaces/IReceiptVerifier.sol";
import {SignatureCheck} from "../libraries/SignatureCheck.sol";
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
        require(SignatureCheck.isSignedBy(signer, digest, evidence), SignatureInvalid(signer, digest));
        return IReceiptVerifier.verify.selector;
    }
}
