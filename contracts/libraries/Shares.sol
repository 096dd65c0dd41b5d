// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @dev How one fee, or the fees of a batch, divide. Base units.
struct Shares {
    uint256 node;
    uint256 facilitator;
    uint256 royalty;
    uint256 network;
}

/// @title SharesLib
/// @notice Divides fees so that nothing is lost (E7) and splitting a settlement gains nobody anything.
/// @dev Each part is a function of the cumulative fee that never falls, since each division takes from what the one
/// before it left. Three independent floors would not do: at one more base unit all three may step at once, and the
/// node's remainder would fall.
library SharesLib {
    uint256 internal constant BPS = 10_000;
    uint16 internal constant MAX_FACILITATOR_BPS = 2_000;
    uint16 internal constant MAX_NETWORK_BPS = 1_000;
    uint16 internal constant MAX_ROYALTY_BPS = 2_000;

    /// @notice Adds to `self` the parts of the fees between `before` and `cumulative`.
    /// @dev Unchecked: amounts have 96 bits and shares are at most 5,000 bps together, so products stay below 2^110,
    /// and sums over every row that fits in a block below 2^128; the parts never fall, so differences are not negative.
    function add(
        Shares memory self,
        uint256 before,
        uint256 cumulative,
        uint256 networkBps,
        uint256 royaltyBps,
        uint256 facilitatorBps
    ) internal pure {
        unchecked {
            uint256 poolBps = networkBps + royaltyBps + facilitatorBps;
            uint256 poolBefore = (before * poolBps) / BPS;
            uint256 poolNow = (cumulative * poolBps) / BPS;
            self.node += (cumulative - poolNow) - (before - poolBefore);
            if (poolNow == poolBefore) return;

            uint256 networkBefore = (poolBefore * networkBps) / poolBps;
            uint256 networkNow = (poolNow * networkBps) / poolBps;
            self.network += networkNow - networkBefore;
            if (poolBps == networkBps) return;

            uint256 royaltyBefore = ((poolBefore - networkBefore) * royaltyBps) / (royaltyBps + facilitatorBps);
            uint256 royaltyNow = ((poolNow - networkNow) * royaltyBps) / (royaltyBps + facilitatorBps);
            self.royalty += royaltyNow - royaltyBefore;
            self.facilitator +=
                (poolNow - networkNow - royaltyNow) - (poolBefore - networkBefore - royaltyBefore);
        }
    }
}
