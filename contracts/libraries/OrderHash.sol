// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Job, Order, Terms} from "../types/WorkOrder.sol";
import {Row, Settlement} from "../types/Settlement.sol";

/// @title OrderHash
/// @notice EIP-712 struct hashes of what is signed about orders, and the order id.
library OrderHash {
    bytes32 internal constant TERMS_TYPEHASH =
        keccak256(
            "Terms(address node,address facilitator,uint16 facilitatorBps,address verifier,bytes32 evidenceKey,bytes32 modelId)"
        );
    bytes32 internal constant JOB_TYPEHASH = keccak256("Job(address requester,bytes32 requestHash)");
    bytes32 internal constant WORK_ORDER_TYPEHASH =
        keccak256(
            "WorkOrder(Terms terms,Job job,uint40 claimBy)Job(address requester,bytes32 requestHash)Terms(address node,address facilitator,uint16 facilitatorBps,address verifier,bytes32 evidenceKey,bytes32 modelId)"
        );
    bytes32 internal constant SETTLEMENT_TYPEHASH =
        keccak256(
            "Settlement(bytes32 orderId,uint96 cumulativeFee,bytes32 receiptsRoot,uint64 receiptCount,bool close)"
        );
    bytes32 internal constant SETTLEMENT_BATCH_TYPEHASH =
        keccak256(
            "SettlementBatch(address node,bytes32 evidenceKey,Settlement[] settlements)Settlement(bytes32 orderId,uint96 cumulativeFee,bytes32 receiptsRoot,uint64 receiptCount,bool close)"
        );

    /// @dev What Permit2 appends to its own stub: the witness member, then referenced types in alphabetical order.
    string internal constant WITNESS_TYPE_STRING =
        "WorkOrder witness)Job(address requester,bytes32 requestHash)Terms(address node,address facilitator,uint16 facilitatorBps,address verifier,bytes32 evidenceKey,bytes32 modelId)TokenPermissions(address token,uint256 amount)WorkOrder(Terms terms,Job job,uint40 claimBy)";

    bytes32 private constant SEED_TAG = keccak256("InferenceEscrow.order");

    function terms(Terms calldata self) internal pure returns (bytes32) {
        return keccak256(abi.encode(TERMS_TYPEHASH, self));
    }

    function job(Job calldata self) internal pure returns (bytes32) {
        return keccak256(abi.encode(JOB_TYPEHASH, self));
    }

    /// @notice Struct hash of the `WorkOrder`: the witness of the payer's Permit2 message.
    function workOrder(bytes32 termsHash, Order calldata order) internal pure returns (bytes32) {
        return keccak256(abi.encode(WORK_ORDER_TYPEHASH, termsHash, job(order.job), order.claimBy));
    }

    /// @notice What ties ids to one escrow: the chain id at deployment (F18) and the address.
    function seed(uint256 chainId, address escrow) internal pure returns (bytes32) {
        return keccak256(abi.encode(SEED_TAG, chainId, escrow));
    }

    /// @notice The id of an order.
    function orderId(bytes32 seed_, Order calldata order, bytes32 workOrderHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(seed_, order.payer, order.nonce, order.amount, workOrderHash));
    }

    function settlement(Settlement memory self) internal pure returns (bytes32) {
        return keccak256(abi.encode(SETTLEMENT_TYPEHASH, self));
    }

    /// @notice The same hash, of the settlement inside a verifier's row.
    function settlement(Row memory self) internal pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    SETTLEMENT_TYPEHASH,
                    self.orderId,
                    self.cumulativeFee,
                    self.receiptsRoot,
                    self.receiptCount,
                    self.close
                )
            );
    }

    function settlementBatch(
        address node,
        bytes32 evidenceKey,
        bytes32[] memory settlementHashes
    ) internal pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    SETTLEMENT_BATCH_TYPEHASH,
                    node,
                    evidenceKey,
                    keccak256(abi.encodePacked(settlementHashes))
                )
            );
    }
}
