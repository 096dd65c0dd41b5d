// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Settlement} from "../../../contracts/types/Settlement.sol";
import {Allocation} from "../../../contracts/types/Slice.sol";
import {Order, Terms} from "../../../contracts/types/WorkOrder.sol";

/// @title Signing
/// @notice What is hashed and signed, written a second time from docs/SPEC.md section 3: the escrow's own hashing is
/// under test, so nothing of it is used here.
library Signing {
    string private constant TERMS =
        "Terms(address node,address facilitator,uint16 facilitatorBps,address verifier,bytes32 evidenceKey,bytes32 modelId)";
    string private constant JOB = "Job(address requester,bytes32 requestHash)";
    string private constant WORK_ORDER = "WorkOrder(Terms terms,Job job,uint40 claimBy)";
    string private constant SETTLEMENT =
        "Settlement(bytes32 orderId,uint96 cumulativeFee,bytes32 receiptsRoot,uint64 receiptCount,bool close)";
    string private constant BATCH = "SettlementBatch(address node,bytes32 evidenceKey,Settlement[] settlements)";
    string private constant ALLOCATION =
        "Allocation(bytes32 orderId,bytes32 root,uint8 count,uint96 cap,uint64 series)";
    string private constant PERMIT =
        "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,WorkOrder witness)";
    string private constant PERMISSIONS = "TokenPermissions(address token,uint256 amount)";
    string private constant DOMAIN =
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";

    function workOrder(Terms memory terms, Order memory order) internal pure returns (bytes32) {
        bytes32 termsHash = keccak256(abi.encode(keccak256(bytes(TERMS)), terms));
        bytes32 jobHash = keccak256(abi.encode(keccak256(bytes(JOB)), order.job));
        bytes32 typeHash = keccak256(abi.encodePacked(WORK_ORDER, JOB, TERMS));
        return keccak256(abi.encode(typeHash, termsHash, jobHash, order.claimBy));
    }

    function orderId(address escrow, Terms memory terms, Order memory order) internal view returns (bytes32) {
        bytes32 seed = keccak256(abi.encode(keccak256("InferenceEscrow.order"), block.chainid, escrow));
        return keccak256(abi.encode(seed, order.payer, order.nonce, order.amount, workOrder(terms, order)));
    }

    /// @notice What a payer signs, under Permit2's `domain`, for `spender` to pull the order's amount of `token`.
    function permit(
        bytes32 domain,
        address spender,
        address token,
        Terms memory terms,
        Order memory order,
        uint256 deadline
    ) internal pure returns (bytes32) {
        bytes32 typeHash = keccak256(abi.encodePacked(PERMIT, JOB, TERMS, PERMISSIONS, WORK_ORDER));
        bytes32 permitted = keccak256(abi.encode(keccak256(bytes(PERMISSIONS)), token, uint256(order.amount)));
        bytes32 witness = workOrder(terms, order);
        return _typed(domain, keccak256(abi.encode(typeHash, permitted, spender, order.nonce, deadline, witness)));
    }

    /// @notice What an evidence key signs.
    function batch(
        address escrow,
        address node,
        bytes32 evidenceKey,
        Settlement[] memory settlements
    ) internal view returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](settlements.length);
        for (uint256 i = 0; i < hashes.length; ++i) {
            hashes[i] = keccak256(abi.encode(keccak256(bytes(SETTLEMENT)), settlements[i]));
        }
        bytes32 typeHash = keccak256(abi.encodePacked(BATCH, SETTLEMENT));
        bytes32 list = keccak256(abi.encodePacked(hashes));
        return _typed(_domain(escrow), keccak256(abi.encode(typeHash, node, evidenceKey, list)));
    }

    /// @notice The id of an allocation.
    function allocationId(bytes32 id, Allocation memory allocation_) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(bytes(ALLOCATION)), id, allocation_));
    }

    /// @notice What a facilitator signs.
    function allocation(address escrow, bytes32 id, Allocation memory allocation_) internal view returns (bytes32) {
        return _typed(_domain(escrow), allocationId(id, allocation_));
    }

    function _domain(address escrow) private view returns (bytes32) {
        bytes32 typeHash = keccak256(bytes(DOMAIN));
        return keccak256(abi.encode(typeHash, keccak256("InferenceEscrow"), keccak256("1"), block.chainid, escrow));
    }

    function _typed(bytes32 domain, bytes32 structHash) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }
}
