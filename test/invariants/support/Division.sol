// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Division
/// @notice How the fees of one call divide, written a second time from docs/SPEC.md section 4. Base units.
library Division {
    uint256 private constant BPS = 10_000;

    struct Shares {
        uint256 node;
        uint256 facilitator;
        uint256 royalty;
        uint256 network;
        /// @dev Fees of orders with the shares below, and not yet divided.
        uint256 pool;
        uint256 networkBps;
        uint256 royaltyBps;
    }

    /// @notice Adds the fees of one order from `released` to `cumulativeFee`. @return node the node's part of them
    function add(
        Shares memory self,
        uint256 networkBps,
        uint256 royaltyBps,
        uint256 facilitatorBps,
        uint256 released,
        uint256 cumulativeFee
    ) internal pure returns (uint256 node) {
        if (networkBps != self.networkBps || royaltyBps != self.royaltyBps) {
            divide(self, facilitatorBps);
            self.networkBps = networkBps;
            self.royaltyBps = royaltyBps;
        }
        uint256 bps = networkBps + royaltyBps + facilitatorBps;
        uint256 pool = (cumulativeFee * bps) / BPS - (released * bps) / BPS;
        node = cumulativeFee - released - pool;
        self.pool += pool;
        self.node += node;
    }

    /// @notice Network first, then royalty, each rounded down; the facilitator has the rest, or whoever is last.
    function divide(Shares memory self, uint256 facilitatorBps) internal pure {
        if (self.pool == 0) return;
        uint256 network = (self.pool * self.networkBps) / (self.networkBps + self.royaltyBps + facilitatorBps);
        uint256 others = self.royaltyBps + facilitatorBps;
        uint256 royalty = others == 0 ? 0 : ((self.pool - network) * self.royaltyBps) / others;
        self.network += network;
        self.royalty += royalty;
        self.facilitator += self.pool - network - royalty;
        self.pool = 0;
    }
}
