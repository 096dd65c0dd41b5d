// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IOrderFunder} from "../../interfaces/IOrderFunder.sol";
import {Order, Terms} from "../../types/WorkOrder.sol";

/// @title DemandingFunder
/// @notice For tests: an honest funder with tokens of its own that wants as much gas as an order's data says.
contract DemandingFunder is IOrderFunder {
    error TooLittleGas(uint256 left);

    IERC20 private immutable _TOKEN;

    /// @notice Gas that it found when it was asked last.
    uint256 public gasSeen;

    constructor(IERC20 token) {
        _TOKEN = token;
    }

    /// @inheritdoc IOrderFunder
    function fund(bytes32, Terms calldata, Order calldata order, bytes calldata data) external {
        uint256 left = gasleft();
        require(left >= uint256(bytes32(data)), TooLittleGas(left));
        gasSeen = left;
        require(_TOKEN.transfer(msg.sender, order.amount));
    }
}
