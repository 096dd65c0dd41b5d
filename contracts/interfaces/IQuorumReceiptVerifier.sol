// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IReceiptVerifier} from "./IReceiptVerifier.sol";

/// @title IQuorumReceiptVerifier
/// @notice Takes the signatures of `k` out of `n` validators over the digest of the batch. The payer pins the set by
/// signature: there is no list here, and nobody who could change one (F11).
///
/// `evidenceKey` is `keccak256(abi.encode(uint256 k, address[] validators))`, with `0 < k <= n <= 255` and validators
/// strictly ascending, the first above zero: each counts once, and a set has one key.
///
/// Evidence is `abi.encodePacked(uint8 k, uint8 n, address[n] validators, uint256 signers, bytes[k] signatures)`, the
/// addresses without padding: bit `i` of `signers`, counted from the lowest, says that validator `i` signed. Exactly `k`
/// bits are set, and the `k` signatures follow in the order of the set: `34 + 20 n + 65 k` bytes in all.
///
/// Signatures are ECDSA of 65 bytes, of keys: no code is asked.
///
/// Gas on prague: about 4,900, 3,900 for each signature and 800 for each validator of the set.
interface IQuorumReceiptVerifier is IReceiptVerifier {
    /// @notice Fewer than one, or more than all, or more than 255 validators.
    error QuorumInvalid(uint256 k, uint256 n);
    /// @notice A validator is zero, twice there, or out of order.
    error ValidatorsNotAscending(address previous, address next);
    /// @notice The evidence is not as long as its set asks.
    error EvidenceLengthWrong(uint256 expected, uint256 actual);
    /// @notice The set is not the one that the orders pin.
    error QuorumNotPinned(bytes32 evidenceKey, bytes32 actual);
    /// @notice Not exactly `k` of the `n` validators are named as signers.
    error SignersInvalid(uint256 k, uint256 n, uint256 signers);
    /// @notice The validator did not sign the digest.
    error SignatureInvalid(address validator, bytes32 digest);

    /// @notice The `evidenceKey` of a set. Reverts where `verify` would refuse the set, so that nobody pins such a one.
    function evidenceKeyOf(uint256 k, address[] calldata validators) external pure returns (bytes32);
}
