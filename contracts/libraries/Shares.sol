// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OrderState, OrderStateLib} from "./OrderState.sol";

/// @dev How the fees of one `settle` divide. Base units.
struct Shares {
    uint256 node;
    uint256 facilitator;
    uint256 royalty;
    uint256 network;
    /// @dev Fees that are not the node's and are not divided yet, all of orders with the snapshot below.
    uint256 pool;
    /// @dev Snapshot of network and royalty shares, as `OrderState.snapshot` gives it.
    uint256 snapshot;
}

/// @title SharesLib
/// @notice Divides fees so that nothing is lost (E7).
/// @dev The pool of an order, `floor(cumulativeFee * (network + royalty + facilitator) / 10,000)`, and the node's part,
/// which is the rest, never fall as the cumulative fee grows, so splitting a settlement gains node and payer nothing.
/// Three independent floors would not do: at one more base unit all three may step at once, and the node's remainder
/// would fall. What a call adds to the pool is divided at its end; under a base unit a call goes to the later payees.
library SharesLib {
    uint256 internal constant BPS = 10_000;
    uint16 internal constant MAX_FACILITATOR_BPS = 2_000;
    uint16 internal constant MAX_NETWORK_BPS = 1_000;
    uint16 internal constant MAX_ROYALTY_BPS = 2_000;

    /// @notice Adds the fees of an order between what was released and `cumulativeFee`, which is not lower.
    /// @dev Unchecked, here and below: amounts have 96 bits and the shares are at most 5,000 bps together, so products
    /// stay below 2^110, and sums over all rows that fit in a block below 2^128.
    function add(Shares memory self, OrderState state, uint256 cumulativeFee, uint256 facilitatorBps) internal pure {
        unchecked {
            uint256 snapshot = state.snapshot();
            if (snapshot != self.snapshot) {
                divide(self, facilitatorBps);
                self.snapshot = snapshot;
            }
            uint256 poolBps = state.poolBps(facilitatorBps);
            uint256 released = state.released();
            uint256 pool = poolOf(cumulativeFee, poolBps) - poolOf(released, poolBps);
            self.pool += pool;
            self.node += cumulativeFee - released - pool;
        }
    }

    /// @notice Adds the fee of a slice, which is settled once, of an order with the present snapshot.
    /// @return nodeFee what of it is the node's, which is paid at once and not added to `self.node`
    function addSlice(Shares memory self, uint256 fee, uint256 poolBps) internal pure returns (uint256 nodeFee) {
        unchecked {
            uint256 pool = poolOf(fee, poolBps);
            self.pool += pool;
            return fee - pool;
        }
    }

    /// @notice What is not the node's of `cumulativeFee`.
    function poolOf(uint256 cumulativeFee, uint256 poolBps) internal pure returns (uint256) {
        unchecked {
            return (cumulativeFee * poolBps) / BPS;
        }
    }

    /// @notice Divides the pool: network first, then royalty, then facilitator, each rounded down but the last that
    /// has a share, which takes the rest.
    function divide(Shares memory self, uint256 facilitatorBps) internal pure {
        uint256 rest = self.pool;
        if (rest == 0) return; // and with no shares at all the pool is zero, so nothing below divides by zero
        unchecked {
            (uint256 networkBps, uint256 royaltyBps) = OrderStateLib.split(self.snapshot);
            uint256 bps = networkBps + royaltyBps + facilitatorBps;
            uint256 network = (rest * networkBps) / bps;
            rest -= network;
            bps -= networkBps;
            uint256 royalty = bps == 0 ? 0 : (rest * royaltyBps) / bps;
            self.network += network;
            self.royalty += royalty;
            self.facilitator += rest - royalty;
            self.pool = 0;
        }
    }
}
