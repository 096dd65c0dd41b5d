// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReceiptVerifier} from "../interfaces/IReceiptVerifier.sol";
import {Row} from "../types/Settlement.sol";

/// @title Evidence
/// @notice Asks a verifier that may be anybody's code.
library Evidence {
    /// @notice Whether `verifier` accepts; false where it reverts or returns anything else.
    /// @dev Asked by staticcall, and at most one word of the answer is read, so it can neither act nor flood memory.
    function accepted(
        address verifier,
        address node,
        bytes32 evidenceKey,
        bytes32 digest,
        Row[] memory rows,
        bytes calldata evidence
    ) internal view returns (bool) {
        bytes memory question = abi.encodeCall(
            IReceiptVerifier.verify,
            (node, evidenceKey, digest, rows, evidence)
        );
        bytes32 answer;
        bool success;
        // Memory-safe: the answer goes to the scratch space.
        assembly ("memory-safe") {
            success := staticcall(gas(), verifier, add(question, 0x20), mload(question), 0x00, 0x20)
            success := and(success, gt(returndatasize(), 0x1f))
            answer := mload(0x00)
        }
        // The whole word, so that no other value than the padded selector passes.
        return success && answer == bytes32(IReceiptVerifier.verify.selector);
    }
}
