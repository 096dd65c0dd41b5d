// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title HostileToken
/// @notice For tests: a token that takes a fee, refuses a payee, floods the caller or calls back, as it is told.
contract HostileToken is ERC20 {
    enum Mood {
        Honest,
        TakesFee,
        RevertsForPayee,
        FalseForPayee,
        RevertBombForPayee
    }

    Mood public mood;
    address public payee;
    address public callee;
    bytes public callback;
    bool public callbackSucceeded;
    bytes public callbackAnswer;

    constructor() ERC20("Hostile", "HOST") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setMood(Mood mood_, address payee_) external {
        mood = mood_;
        payee = payee_;
    }

    /// @notice From now on each transfer calls `callee_` first.
    function setCallback(address callee_, bytes calldata callback_) external {
        callee = callee_;
        callback = callback_;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (to == payee) {
            if (mood == Mood.FalseForPayee) return false;
            require(mood != Mood.RevertsForPayee);
            if (mood == Mood.RevertBombForPayee) {
                assembly ("memory-safe") {
                    revert(mload(0x40), 100000)
                }
            }
        }
        return super.transfer(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        address target = callee;
        if (target != address(0)) {
            callee = address(0);
            (callbackSucceeded, callbackAnswer) = target.call(callback);
        }
        super._update(from, to, amount);
        if (mood == Mood.TakesFee && from != address(0)) super._update(to, address(0), amount / 100);
    }
}
