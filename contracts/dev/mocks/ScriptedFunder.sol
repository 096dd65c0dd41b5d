// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IOrderFunder} from "../../interfaces/IOrderFunder.sol";
import {Order, Terms} from "../../types/WorkOrder.sol";

/// @title ScriptedFunder
/// @notice For tests: a funder that pays with its own tokens, or does what the first byte of an order's data says.
contract ScriptedFunder is IOrderFunder {
    enum Mood {
        Delivers,
        Lies,
        DeliversLess,
        DeliversMore,
        RevertsAfterDelivery,
        BurnsGas,
        ReturnBomb,
        RevertBomb,
        CallsBack,
        WantsGas
    }

    IERC20 private immutable TOKEN;

    address public callee;
    bytes public callback;
    bool public callbackSucceeded;
    bytes public callbackAnswer;
    /// @notice How often it was asked and did not revert.
    uint256 public asked;
    /// @notice Gas that it found when it was asked last.
    uint256 public gasSeen;

    error TooLittleGas(uint256 left);
    error Regretted();

    constructor(IERC20 token) {
        TOKEN = token;
    }

    /// @notice What it calls before it delivers, in the mood for it.
    function setCallback(address callee_, bytes calldata callback_) external {
        callee = callee_;
        callback = callback_;
    }

    /// @inheritdoc IOrderFunder
    /// @param data empty, or a byte for the mood; in `WantsGas`, the gas that it wants behind that
    function fund(bytes32, Terms calldata, Order calldata order, bytes calldata data) external {
        uint256 left = gasleft();
        Mood mood = data.length == 0 ? Mood.Delivers : Mood(uint8(data[0]));
        if (mood == Mood.WantsGas) require(left >= uint256(bytes32(data[1:33])), TooLittleGas(left));
        if (mood == Mood.BurnsGas) {
            while (gasleft() > 0) {}
        }
        ++asked;
        gasSeen = left;
        if (mood == Mood.CallsBack) (callbackSucceeded, callbackAnswer) = callee.call(callback);
        if (mood != Mood.Lies) _deliver(order.amount, mood);
        require(mood != Mood.RevertsAfterDelivery, Regretted());
        assembly ("memory-safe") {
            switch mood
            case 6 {
                return(mload(0x40), 100000)
            }
            case 7 {
                revert(mload(0x40), 100000)
            }
        }
    }

    function _deliver(uint256 amount, Mood mood) private {
        if (mood == Mood.DeliversLess) --amount;
        if (mood == Mood.DeliversMore) ++amount;
        require(TOKEN.transfer(msg.sender, amount));
    }
}
