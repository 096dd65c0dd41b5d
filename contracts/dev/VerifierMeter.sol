// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title VerifierMeter
/// @notice For benchmarks: asks a verifier as an escrow does, and says what it took.
contract VerifierMeter {
    /// @notice The domain that vouchers and receipts are signed under.
    bytes32 public immutable domainSeparator;

    constructor(bytes32 domainSeparator_) {
        domainSeparator = domainSeparator_;
    }

    /// @notice The verifier reverted: there is nothing to measure.
    error VerifierRefused(address verifier, bytes answer);

    /// @notice Asks `verifier`, which has not been touched before in the transaction.
    /// @param question calldata of `IReceiptVerifier.verify`
    /// @return answer what it returned
    /// @return gasUsed gas of the call alone: no transaction, no calldata
    function meter(
        address verifier,
        bytes calldata question
    ) external view returns (bytes memory answer, uint256 gasUsed) {
        bytes memory asked = question;
        bool success;
        uint256 gasBefore = gasleft();
        (success, answer) = verifier.staticcall(asked);
        gasUsed = gasBefore - gasleft();
        require(success, VerifierRefused(verifier, answer));
    }
}
