// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OrderHash} from "../../libraries/OrderHash.sol";
import {ReceiptHash} from "../../libraries/ReceiptHash.sol";
import {SliceHash} from "../../libraries/SliceHash.sol";
import {CloseRequest, InferenceReceipt, InferenceRequest, Voucher} from "../../types/Receipt.sol";
import {Settlement} from "../../types/Settlement.sol";
import {Allocation, SliceRow} from "../../types/Slice.sol";
import {Order, Terms} from "../../types/WorkOrder.sol";

/// @title HashHarness
/// @notice For tests: opens the hashing libraries to the outside (E12).
contract HashHarness {
    function typeHashes() external pure returns (bytes32[10] memory) {
        return
            [
                OrderHash.TERMS_TYPEHASH,
                OrderHash.JOB_TYPEHASH,
                OrderHash.WORK_ORDER_TYPEHASH,
                ReceiptHash.REQUEST_TYPEHASH,
                ReceiptHash.RECEIPT_TYPEHASH,
                OrderHash.SETTLEMENT_TYPEHASH,
                OrderHash.SETTLEMENT_BATCH_TYPEHASH,
                ReceiptHash.VOUCHER_TYPEHASH,
                ReceiptHash.CLOSE_REQUEST_TYPEHASH,
                SliceHash.ALLOCATION_TYPEHASH
            ];
    }

    function witnessTypeString() external pure returns (string memory) {
        return OrderHash.WITNESS_TYPE_STRING;
    }

    function seed(uint256 chainId, address escrow) external pure returns (bytes32) {
        return OrderHash.seed(chainId, escrow);
    }

    function terms(Terms calldata self) external pure returns (bytes32) {
        return OrderHash.terms(self);
    }

    function order(
        bytes32 seed_,
        bytes32 termsHash,
        Order calldata self
    ) external pure returns (bytes32 id, bytes32 witness) {
        return OrderHash.order(seed_, termsHash, self);
    }

    function settlement(Settlement calldata self) external pure returns (bytes32) {
        return OrderHash.settlement(self);
    }

    function settlementBatch(
        address node,
        bytes32 evidenceKey,
        Settlement[] calldata settlements
    ) external pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](settlements.length);
        for (uint256 i = 0; i < settlements.length; ++i) {
            hashes[i] = OrderHash.settlement(settlements[i]);
        }
        return OrderHash.settlementBatch(node, evidenceKey, hashes);
    }

    function allocation(bytes32 orderId, Allocation calldata self) external pure returns (bytes32) {
        return SliceHash.allocation(orderId, self);
    }

    function slice(bytes32 allocationId, uint256 index) external pure returns (bytes32) {
        return SliceHash.slice(allocationId, index);
    }

    function sliceLeaf(address node, bytes32 evidenceKey) external pure returns (bytes32) {
        return SliceHash.leaf(node, evidenceKey);
    }

    function areAllocated(
        Allocation calldata self,
        SliceRow[] calldata rows,
        bytes32[] calldata proof
    ) external pure returns (bool) {
        return SliceHash.areAllocated(self, rows, proof);
    }

    function request(InferenceRequest calldata self) external pure returns (bytes32) {
        return ReceiptHash.request(self);
    }

    function receipt(InferenceReceipt calldata self) external pure returns (bytes32) {
        return ReceiptHash.receipt(self);
    }

    function voucher(Voucher calldata self) external pure returns (bytes32) {
        return ReceiptHash.voucher(self);
    }

    function closeRequest(CloseRequest calldata self) external pure returns (bytes32) {
        return ReceiptHash.closeRequest(self);
    }

    function leaf(bytes32 receiptHash) external pure returns (bytes32) {
        return ReceiptHash.leaf(receiptHash);
    }

    function root(bytes32[] memory leaves) external pure returns (bytes32) {
        return ReceiptHash.root(leaves);
    }

    function verifyInclusion(
        bytes32 root_,
        uint64 size,
        uint64 index,
        bytes32 leaf_,
        bytes32[] calldata proof
    ) external pure returns (bool) {
        return ReceiptHash.verifyInclusion(root_, size, index, leaf_, proof);
    }
}
