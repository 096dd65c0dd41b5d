// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {GasFloor} from "../../libraries/GasFloor.sol";
import {OwnBalance} from "../../libraries/OwnBalance.sol";

/// @title GuardHarness
/// @notice For tests: opens `GasFloor` and `OwnBalance` to the outside.
contract GuardHarness {
    function requireGas(bytes32 orderId, uint256 gasForCall) external view {
        GasFloor.requireGas(orderId, gasForCall);
    }

    function ownBalance(IERC20 token) external view returns (uint256) {
        return OwnBalance.ownBalance(token);
    }
}
