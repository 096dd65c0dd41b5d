// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Terms} from "../../../contracts/types/WorkOrder.sol";
import {Guarantee} from "../support/Guarantee.sol";
import {Entry, Ledger} from "../support/Ledger.sol";
import {World} from "../support/World.sol";
import {Handler} from "./Handler.sol";

/// @title Closing
/// @notice Orders that end without evidence, and the time that lets them.
contract Closing is Handler {
    constructor(World world_, Ledger ledger_) Handler(world_, ledger_) {}

    /// @notice A node gives a direct order back. (Of routed orders see `Routing`.)
    function release(uint256 which) external move {
        if (ledger.entryCount() == 0) return;
        uint256 index = which % ledger.entryCount();
        Entry memory entry = ledger.entry(index);
        if (entry.offer >= world.DIRECT_OFFERS()) return;
        Terms memory terms = world.offer(entry.offer);
        (bool success, ) = _send(terms.node, abi.encodeCall(escrow.release, (terms, entry.order)));
        if (success) ledger.close(index);
        ledger.count("release", success);
        if (success != entry.open) ledger.blame(Guarantee.E6, "a node could not release, or released twice");
    }

    /// @notice Nobody but the node lets go of what is reserved for it.
    function releaseByOther(uint256 which, uint256 who) external move {
        if (ledger.entryCount() == 0) return;
        Entry memory entry = ledger.entry(which % ledger.entryCount());
        Terms memory terms = world.offer(entry.offer);
        address caller = _anyone(who);
        if (caller == terms.node || caller == terms.facilitator) caller = entry.order.payer;
        (bool success, ) = _send(caller, abi.encodeCall(escrow.release, (terms, entry.order)));
        ledger.count("releaseByOther", entry.open);
        _expect(success, false, Guarantee.E2, "somebody else released a node's order");
    }

    /// @notice Somebody names himself the node, or the payer.
    function closeTampered(uint256 which, uint256 seed) external move {
        if (ledger.entryCount() == 0) return;
        Entry memory entry = ledger.entry(which % ledger.entryCount());
        Terms memory terms = world.offer(entry.offer);
        address thief = world.thief();
        if (seed % 2 == 0) (terms.node, terms.facilitator) = (thief, thief);
        else entry.order.payer = thief;
        bytes memory data =
            seed % 4 < 2
                ? abi.encodeCall(escrow.release, (terms, entry.order))
                : abi.encodeCall(escrow.reclaim, (terms, entry.order));
        (bool success, ) = _send(seed % 2 == 0 || terms.node == address(0) ? thief : terms.node, data);
        ledger.count("closeTampered", entry.open);
        _expect(success, false, Guarantee.E4, "an order closed on other terms than signed");
    }

    function reclaim(uint256 which, uint256 who) external move {
        if (ledger.entryCount() == 0) return;
        uint256 index = which % 4 == 0 ? (which >> 8) % ledger.entryCount() : _overdue(which >> 8);
        _reclaim("reclaim", index, who);
    }

    /// @notice Reclaims at the last second, at the first, or just before.
    function reclaimAtTheEdge(uint256 which, uint256 who, uint256 seed) external move {
        uint256 index = _soonest(which);
        if (index == ledger.NONE()) return;
        _goTo(ledger.entry(index).order.claimBy, seed);
        _reclaim("reclaimAtTheEdge", index, who);
    }

    /// @notice Time passes: seconds, hours, or up to where an order is about to end.
    function wait(uint256 which, uint256 seed) external move {
        uint256 kind = seed % 4;
        uint256 index = _soonest(which);
        if (kind == 0 && index != ledger.NONE()) _goTo(ledger.entry(index).order.claimBy, seed >> 8);
        else if (kind == 1) ledger.advance(block.timestamp + 1 + ((seed >> 8) % 2 days));
        else ledger.advance(block.timestamp + 1 + ((seed >> 8) % 1 hours));
        ledger.count("wait", true);
    }

    function _reclaim(bytes32 name, uint256 index, uint256 who) private {
        Entry memory entry = ledger.entry(index);
        Terms memory terms = world.offer(entry.offer);
        bool due = block.timestamp >= entry.order.claimBy;
        (bool success, ) = _send(_anyone(who), abi.encodeCall(escrow.reclaim, (terms, entry.order)));
        if (success) ledger.close(index);
        ledger.count(name, success);
        if (success && !due) ledger.blame(Guarantee.E2, "an order was reclaimed before its time");
        if (success && !entry.open) ledger.blame(Guarantee.E5, "a closed order was reclaimed");
        if (!success && due && entry.open) ledger.blame(Guarantee.E6, "an order could not be reclaimed");
    }

    /// @dev Of a few open orders the one that ends first.
    function _soonest(uint256 seed) private view returns (uint256 index) {
        index = ledger.NONE();
        uint256 count = ledger.entryCount();
        uint256 soonest = type(uint256).max;
        for (uint256 i = 0; i < 8 && i < count; ++i) {
            uint256 candidate = ((seed % count) + i) % count;
            Entry memory entry = ledger.entry(candidate);
            if (!entry.open || entry.order.claimBy >= soonest) continue;
            (index, soonest) = (candidate, entry.order.claimBy);
        }
    }

    /// @dev One second before, at, or one second after; never backwards.
    function _goTo(uint256 claimBy, uint256 seed) private {
        ledger.advance(claimBy - 1 + (seed % 3));
        vm.warp(ledger.clock());
    }
}
