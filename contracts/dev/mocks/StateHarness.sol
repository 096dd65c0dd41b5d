// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OrderState, OrderStateLib} from "../../libraries/OrderState.sol";
import {RoutedState} from "../../libraries/RoutedState.sol";

/// @title StateHarness
/// @notice For tests: opens `OrderStateLib` and `RoutedStateLib` to the outside.
contract StateHarness {
    /// @dev Everything that can be read of an order's slot.
    struct Fields {
        uint96 amount;
        uint96 released;
        uint16 networkBps;
        uint16 royaltyBps;
        uint32 openedAt;
        bool known;
        bool closed;
        uint256 snapshot;
        uint256 snapshotNetworkBps;
        uint256 snapshotRoyaltyBps;
    }

    function create(
        uint16 networkBps,
        uint16 royaltyBps,
        uint32 openedAt,
        uint96 amount
    ) external pure returns (OrderState) {
        return OrderStateLib.create(networkBps, royaltyBps, openedAt).withAmount(amount);
    }

    function fields(OrderState state) external pure returns (Fields memory) {
        uint256 snapshot = state.snapshot();
        (uint256 networkBps, uint256 royaltyBps) = OrderStateLib.split(snapshot);
        return
            Fields({
                amount: state.amount(),
                released: state.released(),
                networkBps: state.networkBps(),
                royaltyBps: state.royaltyBps(),
                openedAt: state.openedAt(),
                known: state.isKnown(),
                closed: state.isClosed(),
                snapshot: snapshot,
                snapshotNetworkBps: networkBps,
                snapshotRoyaltyBps: royaltyBps
            });
    }

    function poolBps(OrderState state, uint256 facilitatorBps) external pure returns (uint256) {
        return state.poolBps(facilitatorBps);
    }

    function release(OrderState state, uint96 cumulativeFee) external pure returns (OrderState) {
        return state.release(cumulativeFee);
    }

    function close(OrderState state) external pure returns (OrderState closed, uint96 refund) {
        return state.close();
    }

    function routedFields(
        RoutedState state
    ) external pure returns (uint96 reserved, uint96 released, uint64 allocations) {
        return (state.reserved(), state.released(), state.allocations());
    }

    function free(RoutedState state, uint96 amount) external pure returns (uint256) {
        return state.free(amount);
    }

    function reserve(RoutedState state, uint256 sum) external pure returns (RoutedState) {
        return state.reserve(sum);
    }

    function settle(RoutedState state, uint96 cap, uint96 fee) external pure returns (RoutedState) {
        return state.settle(cap, fee);
    }
}
