// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title IFeePolicy
/// @notice The validation network's share, and who receives it. The escrow snapshots the share when an order opens, so
/// a change touches only later orders (E9), and it caps the share in its own code (F2).
interface IFeePolicy {
    /// @notice The share changed.
    event NetworkBpsSet(uint16 networkBps);
    /// @notice The recipient changed.
    event NetworkRecipientSet(address indexed recipient);

    /// @notice The share is over the cap.
    error NetworkBpsTooHigh(uint16 networkBps, uint16 maximum);
    /// @notice The recipient is the zero address.
    error NetworkRecipientZero();

    /// @notice The network's share of each fee, in basis points, at most 1,000.
    function networkBps() external view returns (uint16);

    /// @notice Who may claim what the network has earned, whenever it was earned. Never zero.
    function networkRecipient() external view returns (address);

    /// @notice Sets the share of orders that open from now on. Only the owner.
    function setNetworkBps(uint16 networkBps_) external;

    /// @notice Sets who claims. Only the owner.
    function setNetworkRecipient(address recipient) external;
}
