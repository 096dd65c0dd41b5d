// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OrderState, OrderStateLib} from "../../libraries/OrderState.sol";
import {Shares, SharesLib} from "../../libraries/Shares.sol";

/// @title SharesHarness
/// @notice For tests: opens `SharesLib` to the outside.
contract SharesHarness {
    /// @dev One order in one call to `settle`.
    struct Step {
        uint96 before;
        uint96 cumulativeFee;
        uint16 networkBps;
        uint16 royaltyBps;
    }

    /// @notice What one call credits for all `steps`.
    function settleTogether(
        Step[] calldata steps,
        uint256 facilitatorBps
    ) external pure returns (Shares memory shares) {
        for (uint256 i = 0; i < steps.length; ++i) _add(shares, steps[i], facilitatorBps);
        SharesLib.divide(shares, facilitatorBps);
    }

    /// @notice What each of `steps` credits in a call of its own.
    function settleApart(Step[] calldata steps, uint256 facilitatorBps) external pure returns (Shares[] memory each) {
        each = new Shares[](steps.length);
        for (uint256 i = 0; i < steps.length; ++i) {
            _add(each[i], steps[i], facilitatorBps);
            SharesLib.divide(each[i], facilitatorBps);
        }
    }

    function _add(Shares memory shares, Step calldata step, uint256 facilitatorBps) private pure {
        OrderState state = OrderStateLib.create(step.networkBps, step.royaltyBps, 1).release(step.before);
        SharesLib.add(shares, state, step.cumulativeFee, facilitatorBps);
    }
}
