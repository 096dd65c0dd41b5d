// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReceiptVerifier} from "../interfaces/IReceiptVerifier.sol";
import {SignatureCheck} from "../libraries/SignatureCheck.sol";
import {Row} from "../types/Settlement.sol";
import {NodeKey} from "./NodeKey.sol";

/// @title KeyReceiptVerifier
/// @notice Evidence is one signature over the batch's digest: ECDSA of 65 bytes, or ERC-1271.
/// @dev `evidenceKey` zero means the node's address; otherwise it is the signer's address with clean high bits.
/// Gas on prague: 6,850, whatever the rows.
contract KeyReceiptVerifier is IReceiptVerifier {
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
        address signer = NodeKey.signerOf(evidenceKey, node);
        require(SignatureCheck.isSignedBy(signer, digest, evidence), SignatureInvalid(signer, digest));
        return IReceiptVerifier.verify.selector;
    }
}
