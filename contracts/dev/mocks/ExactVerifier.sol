// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReceiptVerifier} from "../../interfaces/IReceiptVerifier.sol";
import {Row} from "../../types/Settlement.sol";

/// @title ExactVerifier
/// @notice For tests: accepts one question only, byte for byte, so that a test can say what verifiers are shown.
contract ExactVerifier is IReceiptVerifier {
    bytes32 private _questionHash;

    function expectQuestion(bytes calldata question) external {
        _questionHash = keccak256(question);
    }

    /// @inheritdoc IReceiptVerifier
    function verify(address, bytes32, bytes32, Row[] calldata, bytes calldata) external view returns (bytes4) {
        return keccak256(msg.data) == _questionHash ? IReceiptVerifier.verify.selector : bytes4(0);
    }
}
