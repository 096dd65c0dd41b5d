// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title HostileNetworkEscrow
/// @notice For tests: what a `ValidatorPool` calls to collect, and finds it failing in every way.
contract HostileNetworkEscrow {
    enum Mood {
        Pays,
        Reverts,
        BurnsGas,
        ReturnsNothing,
        ReturnBomb,
        RevertBomb,
        CallsBack
    }

    IERC20 private immutable TOKEN;

    Mood public mood;
    bytes public callback;
    bool public callbackSucceeded;
    bytes public callbackAnswer;
    uint256 public gasSeen;

    error NoMood();

    constructor(IERC20 token) {
        TOKEN = token;
    }

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    /// @notice From now on, being asked to pay, it calls the asker first.
    function setCallback(bytes calldata callback_) external {
        mood = Mood.CallsBack;
        callback = callback_;
    }

    /// @notice Pays all that it has, as the escrow pays the network's credit.
    function claimNetwork(address to) external returns (uint256 amount) {
        Mood present = mood;
        require(present != Mood.Reverts, NoMood());
        if (present == Mood.BurnsGas) {
            while (gasleft() > 0) {}
        }
        assembly ("memory-safe") {
            switch present
            case 3 {
                return(0, 0)
            }
            case 4 {
                return(mload(0x40), 100000)
            }
            case 5 {
                revert(mload(0x40), 100000)
            }
        }
        gasSeen = gasleft();
        if (present == Mood.CallsBack) (callbackSucceeded, callbackAnswer) = msg.sender.call(callback);
        amount = TOKEN.balanceOf(address(this));
        require(TOKEN.transfer(to, amount));
    }
}
