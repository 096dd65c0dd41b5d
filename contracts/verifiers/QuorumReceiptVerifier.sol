// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IQuorumReceiptVerifier} from "../interfaces/IQuorumReceiptVerifier.sol";
import {IReceiptVerifier} from "../interfaces/IReceiptVerifier.sol";
import {SignatureCheck} from "../libraries/SignatureCheck.sol";
import {Row} from "../types/Settlement.sol";

/// @title QuorumReceiptVerifier
/// @notice See `IQuorumReceiptVerifier`.
contract QuorumReceiptVerifier is IQuorumReceiptVerifier {
    uint256 private constant MAX_VALIDATORS = 255;
    /// @dev k and n.
    uint256 private constant EVIDENCE_HEAD = 2;
    uint256 private constant ADDRESS_SIZE = 20;
    uint256 private constant SIGNERS_SIZE = 32;
    uint256 private constant SIGNATURE_SIZE = 65;

    /// @inheritdoc IReceiptVerifier
    function verify(
        address,
        bytes32 evidenceKey,
        bytes32 digest,
        Row[] calldata, // the digest covers them
        bytes calldata evidence
    ) external pure returns (bytes4) {
        require(evidence.length >= EVIDENCE_HEAD, EvidenceLengthWrong(EVIDENCE_HEAD, evidence.length));
        uint256 k = uint8(evidence[0]);
        uint256 n = uint8(evidence[1]);
        uint256 signersAt = EVIDENCE_HEAD + n * ADDRESS_SIZE;
        uint256 signaturesAt = signersAt + SIGNERS_SIZE;
        uint256 expected = signaturesAt + k * SIGNATURE_SIZE;
        require(evidence.length == expected, EvidenceLengthWrong(expected, evidence.length));

        address[] memory validators = _addresses(evidence[EVIDENCE_HEAD:signersAt]);
        bytes32 key = _evidenceKeyOf(k, validators);
        require(key == evidenceKey, QuorumNotPinned(evidenceKey, key));

        uint256 signers = uint256(bytes32(evidence[signersAt:signaturesAt]));
        require(signers >> n == 0 && _bitsOf(signers) == k, SignersInvalid(k, n, signers));
        _requireSigned(validators, signers, digest, evidence[signaturesAt:]);
        return IReceiptVerifier.verify.selector;
    }

    /// @inheritdoc IQuorumReceiptVerifier
    function evidenceKeyOf(uint256 k, address[] calldata validators) external pure returns (bytes32) {
        return _evidenceKeyOf(k, validators);
    }

    function _evidenceKeyOf(uint256 k, address[] memory validators) private pure returns (bytes32) {
        uint256 n = validators.length;
        require(0 < k && k <= n && n <= MAX_VALIDATORS, QuorumInvalid(k, n));
        address previous = address(0); // so zero is no validator: nobody signs for it
        for (uint256 i = 0; i < n; ++i) {
            address next = validators[i];
            require(next > previous, ValidatorsNotAscending(previous, next));
            previous = next;
        }
        return keccak256(abi.encode(k, validators));
    }

    /// @dev `signatures` holds one for each set bit of `signers`, which has none beyond the validators.
    function _requireSigned(
        address[] memory validators,
        uint256 signers,
        bytes32 digest,
        bytes calldata signatures
    ) private pure {
        uint256 at = 0;
        for (uint256 i = 0; i < validators.length; ++i) {
            if ((signers >> i) & 1 == 0) continue;
            bytes calldata signature = signatures[at:at + SIGNATURE_SIZE];
            require(
                SignatureCheck.isSignedByKey(validators[i], digest, signature),
                SignatureInvalid(validators[i], digest)
            );
            at += SIGNATURE_SIZE;
        }
    }

    function _addresses(bytes calldata packed) private pure returns (address[] memory list) {
        list = new address[](packed.length / ADDRESS_SIZE);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = address(bytes20(packed[i * ADDRESS_SIZE:(i + 1) * ADDRESS_SIZE]));
        }
    }

    function _bitsOf(uint256 word) private pure returns (uint256 count) {
        for (; word != 0; word &= word - 1) ++count; // each step clears the lowest bit that is set
    }
}
