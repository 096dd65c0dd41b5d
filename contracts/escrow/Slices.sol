// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {Evidence, Question} from "../libraries/Evidence.sol";
import {OrderHash} from "../libraries/OrderHash.sol";
import {OrderState} from "../libraries/OrderState.sol";
import {RoutedState} from "../libraries/RoutedState.sol";
import {Shares, SharesLib} from "../libraries/Shares.sol";
import {SignatureCheck} from "../libraries/SignatureCheck.sol";
import {SliceHash} from "../libraries/SliceHash.sol";
import {Allocation, SliceRow} from "../types/Slice.sol";
import {Order, Terms} from "../types/WorkOrder.sol";
import {Settling} from "./Settling.sol";

/// @title Slices
/// @notice The part of `InferenceEscrow` that divides a routed order among many nodes.
abstract contract Slices is Settling {
    using SharesLib for Shares;

    /// @dev Marks an allocation as known when all its slices are settled; bits below it are slices that are not.
    uint256 private constant KNOWN = 1 << 255;

    /// @dev What is asked of every slice of a call.
    struct Batch {
        bytes32 allocationId;
        address verifier;
        bytes32 pinnedKey;
        address requester;
        uint256 cap;
        uint256 unsettled;
        uint256 openedAt;
        SkipReason common;
        uint256 gasPerSlice;
    }

    mapping(bytes32 allocationId => uint256 bitmap) private _unsettled;

    /// @inheritdoc IInferenceEscrow
    function allocate(
        Terms calldata terms,
        Order calldata order,
        Allocation calldata allocation,
        bytes calldata signature
    ) external nonReentrant returns (bool allocated) {
        bytes32 id = _requireRouted(terms, order);
        bytes32 allocation_ = SliceHash.allocation(id, allocation);
        if (_unsettled[allocation_] != 0) return false; // (E5)
        OrderState state = _orders[id].state;
        _requireOpen(id, state);
        require(block.timestamp < order.claimBy, OrderExpired(id, order.claimBy, block.timestamp));
        uint256 sum = uint256(allocation.count) * allocation.cap;
        require(sum != 0, AllocationEmpty(allocation_, allocation.count, allocation.cap));
        RoutedState routed = _routed[id];
        uint256 free = routed.free(state.amount());
        require(sum <= free, AllocationTooLarge(id, sum, free)); // so slices never exceed the order (E2)
        _requireFacilitator(terms.facilitator, _hashTypedDataV4(allocation_), signature);

        _routed[id] = routed.reserve(sum);
        _unsettled[allocation_] = KNOWN | ((1 << allocation.count) - 1);
        emit SlicesAllocated(id, allocation_, allocation.root, allocation.count, allocation.cap, allocation.series);
        return true;
    }

    /// @inheritdoc IInferenceEscrow
    function settleSlices(
        Terms calldata terms,
        Order calldata order,
        Allocation calldata allocation,
        SliceRow[] calldata rows,
        bytes32[] calldata proof,
        uint256 gasPerSlice
    ) external nonReentrant returns (uint256 settled) {
        bytes32 id = _requireRouted(terms, order);
        Batch memory batch;
        batch.allocationId = SliceHash.allocation(id, allocation);
        require(SliceHash.areAllocated(allocation, rows, proof), SliceProofInvalid(batch.allocationId));
        OrderState state = _orders[id].state;
        batch.verifier = terms.verifier;
        batch.pinnedKey = terms.evidenceKey;
        batch.requester = order.job.requester;
        batch.cap = allocation.cap;
        batch.unsettled = _unsettled[batch.allocationId];
        batch.openedAt = state.openedAt();
        batch.gasPerSlice = gasPerSlice;
        batch.common = _commonReason(batch.unsettled, state, order.claimBy);

        Shares memory shares;
        shares.snapshot = state.snapshot();
        uint256 poolBps = state.poolBps(terms.facilitatorBps);
        RoutedState routed = _routed[id];
        uint256[] memory nodeFeesPlusOne = new uint256[](rows.length); // zero: passed over
        for (uint256 i = 0; i < rows.length; ++i) {
            SliceRow calldata row = rows[i];
            (uint256 index, uint96 fee) = (row.index, row.fee);
            bytes32 sliceId = SliceHash.slice(batch.allocationId, index);
            SkipReason reason = _skipReason(batch, sliceId, index, fee, row);
            if (reason != SkipReason.None) {
                emit RowSkipped(sliceId, reason);
                continue;
            }
            batch.unsettled ^= 1 << index; // so it is settled once (F3)
            routed = routed.settle(allocation.cap, fee);
            nodeFeesPlusOne[i] = 1 + shares.addSlice(fee, poolBps);
            ++settled;
        }
        if (settled == 0) return 0;
        _unsettled[batch.allocationId] = batch.unsettled;
        _routed[id] = routed;

        for (uint256 i = 0; i < rows.length; ++i) {
            if (nodeFeesPlusOne[i] != 0) _payNode(id, batch.allocationId, rows[i], nodeFeesPlusOne[i] - 1);
        }
        shares.divide(terms.facilitatorBps);
        _credit(terms, shares);
    }

    /// @inheritdoc IInferenceEscrow
    function allocationId(
        Terms calldata terms,
        Order calldata order,
        Allocation calldata allocation
    ) external view returns (bytes32) {
        return SliceHash.allocation(_orderId(terms, order), allocation);
    }

    /// @inheritdoc IInferenceEscrow
    function unsettledSlices(bytes32 allocationId_) external view returns (bool known, uint256 bitmap) {
        uint256 word = _unsettled[allocationId_];
        return (word != 0, word & ~KNOWN);
    }

    /// @dev Why no slice of the allocation can be settled now, if so.
    function _commonReason(uint256 unsettled, OrderState state, uint256 claimBy) private view returns (SkipReason) {
        if (unsettled == 0) return SkipReason.Unknown; // without an order there is no allocation either
        if (state.isClosed()) return SkipReason.Closed;
        return block.timestamp >= claimBy ? SkipReason.Late : SkipReason.None;
    }

    /// @dev Asks the verifier last, since it is dear and foreign.
    function _skipReason(
        Batch memory batch,
        bytes32 sliceId,
        uint256 index,
        uint256 fee,
        SliceRow calldata row
    ) private view returns (SkipReason) {
        if (batch.common != SkipReason.None) return batch.common;
        if ((batch.unsettled >> index) & 1 == 0) return SkipReason.Closed;
        if (fee > batch.cap) return SkipReason.Overdrawn;
        (address node, bytes32 evidenceKey) = (row.node, row.evidenceKey);
        if (node == address(0) || node == address(this)) return SkipReason.NotPayable;
        if (batch.pinnedKey != 0 && batch.pinnedKey != evidenceKey) return SkipReason.WrongKey; // (E9)

        uint256 freeMemory = Evidence.mark();
        bytes calldata evidence = row.evidence;
        Question question = Evidence.prepare(node, evidenceKey, 1, evidence);
        bytes32 settlementHash = question
            .writeSlice(sliceId, batch.requester, batch.cap, batch.openedAt, row)
            .settlementHash();
        bytes32 digest = _hashTypedDataV4(OrderHash.settlementBatchOfOne(node, evidenceKey, settlementHash));
        bool accepted = question.accepted(batch.verifier, digest, evidence.length, batch.gasPerSlice);
        Evidence.reset(freeMemory); // nothing of the question is used again, and many would make memory dear
        return accepted ? SkipReason.None : SkipReason.Refused;
    }

    /// @dev At once, and a node that the token refuses to pay does not hold up the others (E8).
    function _payNode(bytes32 orderId_, bytes32 allocationId_, SliceRow calldata row, uint256 nodeFee) private {
        bytes32 sliceId = SliceHash.slice(allocationId_, row.index);
        address node = row.node;
        emit SliceSettled(orderId_, sliceId, node, row.fee, nodeFee, row.receiptsRoot, row.receiptCount);

        _transferOrCredit(sliceId, node, nodeFee);
    }

    function _requireRouted(Terms calldata terms, Order calldata order) private view returns (bytes32) {
        require(terms.node == address(0), OrderNotRouted(terms.node));
        return _orderId(terms, order);
    }

    function _requireFacilitator(address facilitator, bytes32 digest, bytes calldata signature) private view {
        require(
            msg.sender == facilitator || SignatureCheck.isSignedBy(facilitator, digest, signature),
            NotFacilitator(facilitator, msg.sender)
        );
    }
}
