// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {Evidence, Question, RowPointer} from "../libraries/Evidence.sol";
import {OrderHash} from "../libraries/OrderHash.sol";
import {OrderState} from "../libraries/OrderState.sol";
import {Shares, SharesLib} from "../libraries/Shares.sol";
import {Order, Terms} from "../types/WorkOrder.sol";
import {SettleRow, Settlement} from "../types/Settlement.sol";
import {OrderBook} from "./OrderBook.sol";

/// @title Settling
/// @notice The part of `InferenceEscrow` that releases fees of direct orders by evidence.
abstract contract Settling is OrderBook {
    using SharesLib for Shares;

    /// @inheritdoc IInferenceEscrow
    function settle(
        Terms calldata terms,
        SettleRow[] calldata rows,
        bytes calldata evidence
    ) external nonReentrant returns (uint256 settled) {
        return _settle(terms, rows, evidence, false);
    }

    /// @inheritdoc IInferenceEscrow
    function settleWithClaim(
        Terms calldata terms,
        SettleRow[] calldata rows,
        bytes calldata evidence
    ) external nonReentrant returns (uint256 settled) {
        return _settle(terms, rows, evidence, true);
    }

    /// @inheritdoc IInferenceEscrow
    function settlementDigest(
        address node,
        bytes32 evidenceKey,
        Settlement[] calldata settlements
    ) external view returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](settlements.length);
        for (uint256 i = 0; i < settlements.length; ++i) {
            hashes[i] = OrderHash.settlement(settlements[i]);
        }
        return _batchDigest(node, evidenceKey, hashes);
    }

    /// @dev What evidence is about.
    function _batchDigest(
        address node,
        bytes32 evidenceKey,
        bytes32[] memory settlementHashes
    ) internal view returns (bytes32) {
        return _hashTypedDataV4(OrderHash.settlementBatch(node, evidenceKey, settlementHashes));
    }

    function _settle(
        Terms calldata terms,
        SettleRow[] calldata rows,
        bytes calldata evidence,
        bool claim_
    ) private returns (uint256 settled) {
        // A routed order is settled by its slices; as a direct one, a slice's node could close it (F3).
        (address node, address verifier) = (terms.node, terms.verifier);
        require(node != address(0), NodeInvalid(address(0)));
        Question question = Evidence.prepare(node, terms.evidenceKey, rows.length, evidence);
        bytes32 digest = _read(terms, rows, question);
        require(question.accepted(verifier, digest, evidence.length, gasleft()), EvidenceRefused(verifier, digest));

        Shares memory shares;
        uint256 facilitatorBps = terms.facilitatorBps;
        for (uint256 i = 0; i < rows.length; ++i) {
            if (_settleRow(question.rowAt(i), _rowAt(rows, i).order, facilitatorBps, shares)) ++settled;
        }
        shares.divide(facilitatorBps);
        _credit(terms, shares);
        if (claim_) _payOut(node, node);
    }

    /// @dev Writes the rows into the question. @return digest that evidence is about
    function _read(
        Terms calldata terms,
        SettleRow[] calldata rows,
        Question question
    ) private view returns (bytes32 digest) {
        bytes32 termsHash = OrderHash.terms(terms);
        bytes32[] memory hashes = OrderHash.list(rows.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            SettleRow calldata given = _rowAt(rows, i);
            (bytes32 id, ) = OrderHash.order(_SEED, termsHash, given.order);
            OrderHash.setInList(hashes, i, question.write(i, id, given, _orders[id].state).settlementHash());
        }
        return _batchDigest(terms.node, terms.evidenceKey, hashes);
    }

    /// @dev `rows[i]` where i is known to be below the length, without asking again.
    function _rowAt(SettleRow[] calldata rows, uint256 i) private pure returns (SettleRow calldata row) {
        // A row has ten words, and the rows are one behind the other.
        assembly ("memory-safe") {
            row := add(rows.offset, mul(i, 0x140))
        }
    }

    /// @dev Reads the order's state again: an earlier row of the batch may have changed it.
    function _settleRow(
        RowPointer row,
        Order calldata order,
        uint256 facilitatorBps,
        Shares memory shares
    ) private returns (bool) {
        bytes32 id = row.orderId();
        OrderSlot storage slot = _orders[id];
        OrderState state = slot.state;
        SkipReason reason = _skipReason(state, row, order.claimBy);
        if (reason != SkipReason.None) {
            emit RowSkipped(id, reason);
            return false;
        }
        uint96 cumulativeFee = row.cumulativeFee();
        shares.add(state, cumulativeFee, facilitatorBps);
        state = state.release(cumulativeFee);
        if (!row.close()) {
            slot.state = state;
            row.emitSettled(0);
            return true;
        }
        uint96 refund;
        (slot.state, refund) = state.close();
        row.emitSettled(refund);

        _transferOrCredit(id, order.payer, refund);
        return true;
    }

    function _skipReason(OrderState state, RowPointer row, uint40 claimBy) private view returns (SkipReason) {
        if (!state.isKnown()) return SkipReason.Unknown;
        if (state.isClosed()) return SkipReason.Closed;
        if (block.timestamp >= claimBy) return SkipReason.Late;
        uint256 cumulativeFee = row.cumulativeFee();
        if (cumulativeFee > state.amount()) return SkipReason.Overdrawn;
        uint256 released = state.released();
        if (cumulativeFee < released) return SkipReason.Stale;
        bool close = row.close();
        if (cumulativeFee == released && !close) return SkipReason.Stale;
        if (row.requestHash() != 0 && !(close && row.receiptCount() <= 1)) return SkipReason.NotSingle;
        return SkipReason.None;
    }
}
