// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Credits
/// @notice What somebody may claim. Stored plus one from the first credit on, so that a payee's later credits do not
/// pay for a fresh storage slot after each claim.
library Credits {
    struct Bucket {
        uint256 plusOne;
    }

    function value(Bucket storage self) internal view returns (uint256) {
        uint256 plusOne = self.plusOne;
        return plusOne == 0 ? 0 : plusOne - 1;
    }

    function add(Bucket storage self, uint256 amount) internal {
        if (amount == 0) return;
        uint256 plusOne = self.plusOne;
        // Credits are backed by tokens that this contract holds (E1), and no supply comes near 2^256.
        unchecked {
            self.plusOne = (plusOne == 0 ? 1 : plusOne) + amount;
        }
    }

    /// @notice Takes everything out.
    function empty(Bucket storage self) internal returns (uint256 amount) {
        amount = value(self);
        if (amount != 0) self.plusOne = 1;
    }
}
