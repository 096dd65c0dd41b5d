// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IOrderFunder} from "../../interfaces/IOrderFunder.sol";
import {Order, Terms} from "../../types/WorkOrder.sol";

/// @title ExactFunder
/// @notice For tests: an honest funder that delivers its own tokens, once for each call it expects, byte for byte.
contract ExactFunder is IOrderFunder {
    error CallUnexpected(bytes32 orderId);

    IERC20 private immutable _TOKEN;

    mapping(bytes32 callHash => bool) private _expected;

    constructor(IERC20 token) {
        _TOKEN = token;
    }

    function expectCall(bytes calldata call_) external {
        _expected[keccak256(call_)] = true;
    }

    /// @inheritdoc IOrderFunder
    function fund(bytes32 orderId, Terms calldata, Order calldata order, bytes calldata) external {
        require(_expected[keccak256(msg.data)], CallUnexpected(orderId));
        delete _expected[keccak256(msg.data)];
        _TOKEN.transfer(msg.sender, order.amount);
    }
}
