// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Order, Terms} from "../types/WorkOrder.sol";

/// @title IOrderFunder
/// @notice Delivers the tokens of an order to the escrow that asks. The escrow believes nothing but the tokens that
/// arrive: a funder can keep an order from opening, and do no more.
interface IOrderFunder {
    /// @notice Makes `order.amount` of the escrow's token arrive at the caller, or reverts.
    /// @dev A funder that takes money from the payer must make sure that the payer meant these terms and this order:
    /// the escrow does not know whose tokens they are, and anyone may ask.
    /// @param orderId id of the order in the calling escrow
    /// @param data whatever the funder takes, from whoever opens the order
    function fund(bytes32 orderId, Terms calldata terms, Order calldata order, bytes calldata data) external;
}
