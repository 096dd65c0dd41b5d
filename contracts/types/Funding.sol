// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Order} from "./WorkOrder.sol";

/// @notice An order with what a funder contract needs to deliver its amount.
struct FundedOrder {
    Order order;
    bytes data;
}
