// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice One request of a session, signed by the order's requester. Its struct hash is its identity: signature bytes
/// never are (F21).
struct InferenceRequest {
    bytes32 orderId;
    address node;
    /// @dev The requester's own count: the same index and hash again is the same request.
    uint64 index;
    bytes32 requestHash;
    /// @dev Base units that this request may cost at most.
    uint96 maxFee;
    /// @dev Unix seconds.
    uint40 expiresAt;
}

/// @notice What the node did for one request and took for it, signed by the evidence key.
struct InferenceReceipt {
    bytes32 orderId;
    address node;
    /// @dev Place in the order's receipts, without gaps from zero on: the leaf's index.
    uint64 seq;
    /// @dev Struct hash of the `InferenceRequest`.
    bytes32 requestId;
    bytes32 responseHash;
    /// @dev Base units.
    uint96 fee;
    /// @dev Fees of the order up to this receipt, itself included. Base units.
    uint96 cumulativeFee;
    /// @dev Unix seconds.
    uint40 timestamp;
}

/// @notice The requester's word for the fees of an order up to a total.
struct Voucher {
    bytes32 orderId;
    address node;
    /// @dev Base units.
    uint96 maxCumulativeFee;
}

/// @notice The payer asks the node to drain the order and close it.
struct CloseRequest {
    bytes32 orderId;
    /// @dev Unix seconds.
    uint40 expiresAt;
}
