// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice What orders of one kind share. Signed by the payer inside a `WorkOrder`; a header of batches.
struct Terms {
    /// @dev Who computes and is paid.
    address node;
    /// @dev Who relays the opening and earns `facilitatorBps`; zero for none.
    address facilitator;
    /// @dev The facilitator's share of each fee, in basis points.
    uint16 facilitatorBps;
    /// @dev The `IReceiptVerifier` that judges evidence.
    address verifier;
    /// @dev Whose evidence counts. Its meaning belongs to the verifier; never a wildcard (F8).
    bytes32 evidenceKey;
    /// @dev `keccak256(abi.encode(registrant, name))` of the `ModelRegistry`; zero, or unregistered, pays no royalty.
    bytes32 modelId;
}

/// @notice What the order buys.
struct Job {
    /// @dev Key that signs single requests: the payer itself, or a session key.
    address requester;
    /// @dev Zero: a session of many requests. Otherwise the hash of the one request that is paid for.
    bytes32 requestHash;
}

/// @notice The witness of the payer's Permit2 message: money and terms in one signature.
struct WorkOrder {
    Terms terms;
    Job job;
    /// @dev Unix seconds. Before it evidence settles, from it on anyone returns the rest to the payer.
    uint40 claimBy;
}

/// @notice An order, less its `Terms`: with them it is everything that the order id commits to.
struct Order {
    /// @dev Who signs, and who gets the unspent rest.
    address payer;
    /// @dev Permit2's unordered nonce.
    uint256 nonce;
    /// @dev OPG base units to lock.
    uint96 amount;
    Job job;
    uint40 claimBy;
}

/// @notice An order with the payer's Permit2 signature.
struct SignedOrder {
    Order order;
    /// @dev Unix seconds after which Permit2 refuses the signature.
    uint256 deadline;
    /// @dev ECDSA (64 or 65 bytes) or whatever the payer's ERC-1271 wallet takes.
    bytes signature;
}
