// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Row} from "../types/Settlement.sol";

/// @title IReceiptVerifier
/// @notice Judges evidence for a batch of settlements. The payer names the verifier by signature, so the escrow keeps
/// no list: a bad verifier hurts only the orders that name it.
interface IReceiptVerifier {
    /// @notice Says whether `evidence` proves the batch.
    /// @dev Asked by staticcall, with rows of one node and one evidence key. Rows that the escrow will skip are among
    /// them, since the digest covers the whole batch.
    /// @param node the node that the orders name
    /// @param evidenceKey the key that the orders name; its meaning is the verifier's own
    /// @param digest EIP-712 digest of the `SettlementBatch`, under the escrow's domain
    /// @param rows the settlements of the batch, in its order, with the state of their orders
    /// @param evidence whatever this verifier takes
    /// @return this function's selector if the evidence holds; anything else, or a revert, refuses it
    function verify(
        address node,
        bytes32 evidenceKey,
        bytes32 digest,
        Row[] calldata rows,
        bytes calldata evidence
    ) external view returns (bytes4);
}
