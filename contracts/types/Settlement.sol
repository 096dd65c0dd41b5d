// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Order} from "./WorkOrder.sol";

/// @notice What evidence says of one order (EIP-712 member of `SettlementBatch`).
struct Settlement {
    bytes32 orderId;
    /// @dev Total of all fees of the order so far, in base units: never a difference, so replays change nothing.
    uint96 cumulativeFee;
    /// @dev Root of the order's receipt tree.
    bytes32 receiptsRoot;
    /// @dev Leaves of that tree.
    uint64 receiptCount;
    /// @dev Returns the rest to the payer in the same call.
    bool close;
}

/// @notice One order in `settle`: the order itself and what is to be settled on it.
struct SettleRow {
    Order order;
    uint96 cumulativeFee;
    bytes32 receiptsRoot;
    uint64 receiptCount;
    bool close;
}

/// @notice One order as a verifier sees it. State is as it was before the call.
struct Row {
    bytes32 orderId;
    address requester;
    bytes32 requestHash;
    /// @dev Zero where the order is unknown.
    uint96 amount;
    uint96 released;
    uint32 openedAt;
    uint96 cumulativeFee;
    bytes32 receiptsRoot;
    uint64 receiptCount;
    bool close;
}
