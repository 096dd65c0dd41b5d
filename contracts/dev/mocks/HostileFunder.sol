// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IOrderFunder} from "../../interfaces/IOrderFunder.sol";
import {Order, Terms} from "../../types/WorkOrder.sol";

/// @title HostileFunder
/// @notice For tests: a funder with tokens of its own. The first byte of an order's data says how it behaves for it.
contract HostileFunder is IOrderFunder {
    enum Mood {
        Delivers,
        TooLittle,
        TooMuch,
        Nothing,
        Twice,
        Reverts,
        BurnsGas,
        ReturnBomb,
        RevertBomb,
        /// Calls whoever asks with the rest of the data, and delivers.
        CallsBack,
        /// Tries to take the amount from the payer.
        TakesFromPayer
    }

    error Refused(bytes32 orderId);

    IERC20 private immutable _TOKEN;

    bool public callbackSucceeded;
    bytes public callbackAnswer;
    uint256 public calls;

    constructor(IERC20 token) {
        _TOKEN = token;
    }

    /// @inheritdoc IOrderFunder
    function fund(bytes32 orderId, Terms calldata, Order calldata order, bytes calldata data) external {
        ++calls;
        Mood mood = data.length == 0 ? Mood.Delivers : Mood(uint8(data[0]));
        require(mood != Mood.Reverts, Refused(orderId));
        if (mood == Mood.Nothing) return;
        if (mood == Mood.BurnsGas) {
            while (gasleft() > 0) {}
        }
        if (mood == Mood.RevertBomb) {
            assembly ("memory-safe") {
                revert(mload(0x40), 100000)
            }
        }
        if (mood == Mood.CallsBack) (callbackSucceeded, callbackAnswer) = msg.sender.call(data[1:]);
        _deliver(mood, order);
        if (mood == Mood.ReturnBomb) {
            assembly ("memory-safe") {
                return(mload(0x40), 100000)
            }
        }
    }

    function _deliver(Mood mood, Order calldata order) private {
        uint256 amount = order.amount;
        if (mood == Mood.TakesFromPayer) {
            _TOKEN.transferFrom(order.payer, msg.sender, amount);
            return;
        }
        if (mood == Mood.TooLittle) --amount;
        if (mood == Mood.TooMuch) ++amount;
        if (mood == Mood.Twice) amount *= 2;
        _TOKEN.transfer(msg.sender, amount);
    }
}
