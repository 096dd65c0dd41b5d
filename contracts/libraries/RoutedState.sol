// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @dev What a routed order has reserved and paid through slices, in one storage slot, from the low bits up:
/// reserved (96)     caps of the slices that are not settled
/// released (96)     fees of those that are
/// allocations (64)  how many there were: the slot is never zero again, and one that falls to zero is dear to fill
/// Reserved and released together never exceed the order's amount (E4).
type RoutedState is uint256;

using RoutedStateLib for RoutedState global;

/// @title RoutedStateLib
/// @notice Every change of a routed order's accounting, as pure functions.
library RoutedStateLib {
    uint256 private constant RELEASED_SHIFT = 96;
    uint256 private constant ALLOCATIONS_SHIFT = 192;

    function reserved(RoutedState self) internal pure returns (uint96) {
        return uint96(RoutedState.unwrap(self)); // truncation reads the field
    }

    function released(RoutedState self) internal pure returns (uint96) {
        return uint96(RoutedState.unwrap(self) >> RELEASED_SHIFT); // truncation reads the field
    }

    function allocations(RoutedState self) internal pure returns (uint64) {
        return uint64(RoutedState.unwrap(self) >> ALLOCATIONS_SHIFT);
    }

    /// @notice What an order of `amount` has for further slices.
    function free(RoutedState self, uint96 amount) internal pure returns (uint256) {
        return uint256(amount) - reserved(self) - released(self);
    }

    /// @notice Reserves `sum` more, which must be free.
    function reserve(RoutedState self, uint256 sum) internal pure returns (RoutedState) {
        // 2^64 allocations never happen, and the sum fits what is free, so no field runs into the next.
        unchecked {
            return RoutedState.wrap(RoutedState.unwrap(self) + sum + (1 << ALLOCATIONS_SHIFT));
        }
    }

    /// @notice Settles one slice that reserved `cap`: `fee`, which must be at most `cap`, is released, the rest is free.
    function settle(RoutedState self, uint96 cap, uint96 fee) internal pure returns (RoutedState) {
        // Reserved holds the cap, and released grows by no more than reserved falls.
        unchecked {
            return RoutedState.wrap(RoutedState.unwrap(self) - cap + (uint256(fee) << RELEASED_SHIFT));
        }
    }
}
