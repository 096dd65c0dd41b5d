// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @dev An order in one storage slot, from the low bits up:
/// amount (96)      no OPG supply comes near 2^96 base units
/// released (96)    fees released so far; all ones once closed
/// networkBps (16)  snapshot at opening (E9)
/// royaltyBps (16)  snapshot at opening (E9)
/// openedAt (32)    Unix seconds, enough until 2106; never zero for an order that was opened
/// A slot is never cleared (F13): a stranger's `openFunded` would make room for the payer's own permit.
type OrderState is uint256;

using OrderStateLib for OrderState global;

/// @title OrderStateLib
/// @notice Every change of an order's accounting, as pure functions.
library OrderStateLib {
    uint256 private constant MASK_96 = type(uint96).max;
    uint256 private constant RELEASED_SHIFT = 96;
    uint256 private constant RELEASED_MASK = MASK_96 << RELEASED_SHIFT;

    /// @notice A new order without an amount yet: what all orders of one opening share.
    function create(uint16 networkBps_, uint16 royaltyBps_, uint32 openedAt_) internal pure returns (OrderState) {
        return
            OrderState.wrap(
                (uint256(networkBps_) << 192) | (uint256(royaltyBps_) << 208) | (uint256(openedAt_) << 224)
            );
    }

    /// @notice `self`, which has no amount yet, with one.
    function withAmount(OrderState self, uint96 amount_) internal pure returns (OrderState) {
        return OrderState.wrap(OrderState.unwrap(self) | amount_);
    }

    function amount(OrderState self) internal pure returns (uint96) {
        return uint96(OrderState.unwrap(self)); // truncation reads the field
    }

    function released(OrderState self) internal pure returns (uint96) {
        return uint96(OrderState.unwrap(self) >> RELEASED_SHIFT); // truncation reads the field
    }

    function networkBps(OrderState self) internal pure returns (uint16) {
        return uint16(OrderState.unwrap(self) >> 192); // truncation reads the field
    }

    function royaltyBps(OrderState self) internal pure returns (uint16) {
        return uint16(OrderState.unwrap(self) >> 208); // truncation reads the field
    }

    /// @notice Both shares in one value, to compare orders by; `split` takes it apart.
    function snapshot(OrderState self) internal pure returns (uint256) {
        return (OrderState.unwrap(self) >> 192) & type(uint32).max;
    }

    function split(uint256 snapshot_) internal pure returns (uint256 networkBps_, uint256 royaltyBps_) {
        return (snapshot_ & type(uint16).max, snapshot_ >> 16);
    }

    /// @notice What is not the node's of each fee, in basis points.
    function poolBps(OrderState self, uint256 facilitatorBps) internal pure returns (uint256) {
        unchecked {
            return uint256(networkBps(self)) + royaltyBps(self) + facilitatorBps; // each has 16 bits
        }
    }

    function openedAt(OrderState self) internal pure returns (uint32) {
        return uint32(OrderState.unwrap(self) >> 224);
    }

    /// @notice Whether the order was ever opened. An amount is never zero.
    function isKnown(OrderState self) internal pure returns (bool) {
        return OrderState.unwrap(self) != 0;
    }

    /// @notice Whether nothing more can leave. An order of 2^96 - 1 that is released in full reads as closed, and is.
    function isClosed(OrderState self) internal pure returns (bool) {
        return OrderState.unwrap(self) & RELEASED_MASK == RELEASED_MASK;
    }

    /// @notice Raises what was released to `cumulativeFee`, which must be between `released` and `amount`.
    function release(OrderState self, uint96 cumulativeFee) internal pure returns (OrderState) {
        return OrderState.wrap((OrderState.unwrap(self) & ~RELEASED_MASK) | (uint256(cumulativeFee) << RELEASED_SHIFT));
    }

    /// @notice Ends the order; what was not released is the payer's.
    function close(OrderState self) internal pure returns (OrderState closed, uint96 refund) {
        refund = amount(self) - released(self);
        closed = OrderState.wrap(OrderState.unwrap(self) | RELEASED_MASK);
    }
}
