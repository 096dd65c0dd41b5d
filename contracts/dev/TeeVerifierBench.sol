// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ITEERegistry} from "../interfaces/ITEERegistry.sol";
import {TeeReceiptVerifier} from "../verifiers/TeeReceiptVerifier.sol";

/// @title TeeVerifierBench
/// @notice The verifier itself, with a meter around its signature check.
contract TeeVerifierBench is TeeReceiptVerifier {
    constructor(ITEERegistry registry) TeeReceiptVerifier(registry) {}

    /// @notice Checks one signature as `verify` does, from finding the cached modulus to the verdict.
    /// @return valid the verdict
    /// @return gasUsed gas of the check alone: no transaction, no calldata, no call to the registry if the key is cached
    function meter(
        bytes32 teeId,
        bytes32 digest,
        bytes calldata signature
    ) external view returns (bool valid, uint256 gasUsed) {
        uint256 gasBefore = gasleft();
        valid = _isSignedBy(teeId, digest, signature);
        gasUsed = gasBefore - gasleft();
    }
}
