// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IOrderFunder} from "../../../contracts/interfaces/IOrderFunder.sol";
import {Order, Terms} from "../../../contracts/types/WorkOrder.sol";

/// @title HostileFunder
/// @notice A funder that does what the first byte of an order's data says.
contract HostileFunder is IOrderFunder {
    enum Mood {
        Delivers,
        DeliversLess,
        DeliversMore,
        DeliversNothing,
        Reverts,
        RevertsAfterDelivery,
        BurnsGas,
        ReturnBomb,
        CallsBack,
        /// Delivers, but gives up at once where the gas would not last.
        Thrifty
    }

    IERC20 private immutable _TOKEN;

    /// @notice What it calls the escrow with, before it delivers, in the mood for it.
    bytes public callback;
    bool public callbackSucceeded;

    constructor(IERC20 token) {
        _TOKEN = token;
    }

    function setCallback(bytes calldata callback_) external {
        callback = callback_;
        callbackSucceeded = false;
    }

    /// @inheritdoc IOrderFunder
    function fund(bytes32, Terms calldata, Order calldata order, bytes calldata data) external {
        Mood mood = Mood(uint8(data[0]));
        require(mood != Mood.Reverts);
        require(mood != Mood.Thrifty || gasleft() >= 80_000);
        if (mood == Mood.BurnsGas) {
            while (gasleft() > 0) {}
        }
        if (mood == Mood.CallsBack) (callbackSucceeded, ) = msg.sender.call(callback);
        uint256 amount = order.amount;
        if (mood == Mood.DeliversLess) --amount;
        if (mood == Mood.DeliversMore) ++amount;
        if (mood != Mood.DeliversNothing) _TOKEN.transfer(msg.sender, amount);
        require(mood != Mood.RevertsAfterDelivery);
        if (mood == Mood.ReturnBomb) {
            assembly ("memory-safe") {
                return(mload(0x40), 100000)
            }
        }
    }
}
