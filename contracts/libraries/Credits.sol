// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Credits
/// @notice What somebody may claim, and beside it what the network has earned through him: one slot, so that a settling
/// call writes both at once.
library Credits {
    struct Bucket {
        // slot 1 (128 + 128): the tokens behind it are here (E1), and no OPG supply comes near 2^96 base units
        /// @dev Plus one from the first credit on: later credits after a claim do not pay for a fresh slot.
        uint128 plusOne;
        uint128 network;
    }

    /// @notice What the account itself may claim.
    function value(Bucket storage self) internal view returns (uint256) {
        uint256 plusOne = self.plusOne;
        return plusOne == 0 ? 0 : plusOne - 1;
    }

    /// @notice Adds `amount` for the account, and `networkAmount` for the network.
    function add(Bucket storage self, uint256 amount, uint256 networkAmount) internal {
        if (amount | networkAmount == 0) return;
        (uint256 plusOne, uint256 network) = (self.plusOne, self.network);
        // Amounts have 96 bits: it would take 2^32 orders of all OPG that there could be to overflow 128.
        unchecked {
            self.plusOne = uint128((plusOne == 0 ? 1 : plusOne) + amount);
            self.network = uint128(network + networkAmount);
        }
    }

    /// @notice Takes everything out.
    function empty(Bucket storage self) internal returns (uint256 amount, uint256 networkAmount) {
        amount = value(self);
        networkAmount = self.network;
        if (amount | networkAmount != 0) (self.plusOne, self.network) = (1, 0);
    }

    /// @notice Takes out what is the network's.
    function emptyNetwork(Bucket storage self) internal returns (uint256 networkAmount) {
        networkAmount = self.network;
        if (networkAmount != 0) self.network = 0;
    }
}
