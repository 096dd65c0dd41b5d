// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SettleRow} from "../../../contracts/types/Settlement.sol";
import {Allocation, SliceRow} from "../../../contracts/types/Slice.sol";
import {Order, Terms} from "../../../contracts/types/WorkOrder.sol";
import {Guarantee} from "../support/Guarantee.sol";
import {Entry, Ledger, Reservation, SliceStep} from "../support/Ledger.sol";
import {Signing} from "../support/Signing.sol";
import {SliceCalls} from "../support/SliceCalls.sol";
import {SliceTree} from "../support/SliceTree.sol";
import {World} from "../support/World.sol";
import {Handler} from "./Handler.sol";

/// @title Routing
/// @notice Routed orders: slices reserved by the facilitator or with its signature, settled alone and together, by good
/// evidence and bad, in and out of place.
contract Routing is Handler {
    constructor(World world_, Ledger ledger_) Handler(world_, ledger_) {}

    /// @notice Reserves one to seven slices; mostly they fit in what the order has free.
    function allocate(uint256 which, uint256 size, uint256 seed) external move {
        uint256 index = _routedEntry(which);
        if (index == ledger.NONE()) return;
        Entry memory entry = ledger.entry(index);
        Reservation memory r = _newReservation(index, size, seed);
        (bool success, bytes memory answer) = _allocate(entry, r.allocation, seed);
        bool allowed = success && abi.decode(answer, (bool));
        uint256 sum = uint256(r.allocation.count) * r.allocation.cap;
        bool fits = entry.open && block.timestamp < entry.order.claimBy && sum != 0 && sum <= ledger.free(index);
        fits = fits && (seed % 8 != 3) && (seed % 8 == 0 || world.signs(world.offer(entry.offer).facilitator));
        // What is known already changes nothing, whoever asks.
        fits = fits && !ledger.isAllocated(r.id);
        _expect(allowed, fits, Guarantee.E2, "slices were reserved that must not be, or not those that may");
        if (allowed) ledger.allocate(index, r.id, r.allocation, r.nodes, r.keys);
        ledger.count("allocate", allowed);
    }

    /// @notice What is allocated is not allocated again.
    function allocateAgain(uint256 which, uint256 seed) external move {
        uint256 place = _liveReservation(which);
        if (place == ledger.NONE()) return;
        Reservation memory r = ledger.reservation(place);
        (bool success, bytes memory answer) = _allocate(ledger.entry(r.entry), r.allocation, seed % 3);
        bool allocated = success && abi.decode(answer, (bool));
        _expect(success && !allocated, true, Guarantee.E5, "slices were reserved again, or their replay failed");
        ledger.count("allocateAgain", true);
    }

    /// @notice Any of an allocation's slices, with fees from nothing to more than the cap, some with bad evidence.
    function settleSlices(uint256 which, uint256 mask, uint256 seed) external move {
        uint256 place = _liveReservation(which);
        if (place == ledger.NONE()) return;
        Reservation memory r = ledger.reservation(place);
        Entry memory entry = ledger.entry(r.entry);
        Terms memory terms = world.offer(entry.offer);
        (SliceRow[] memory rows, SliceStep[] memory steps) = _slices(r, entry, mask, seed);
        (bool success, bytes memory answer) = _send(_anyone(seed), SliceCalls.settleData(terms, entry.order, r, rows));

        for (uint256 i = 0; i < steps.length; ++i) {
            if (steps[i].accepted) ledger.proveSlice(place, steps[i].index, steps[i].fee);
        }
        if (!success) ledger.blame(Guarantee.E8, "slices of an allocation could not be settled");
        if (success) _requirePinned(terms.evidenceKey, r);
        uint256 counted = success ? ledger.settleSlices(place, steps) : 0;
        if (success && abi.decode(answer, (uint256)) != counted) {
            ledger.blame(Guarantee.E8, "other slices counted than the rules say");
        }
        ledger.count("settleSlices", counted != 0);
    }

    /// @notice Slices that are not what the facilitator reserved: another node, key, cap, place or order of them.
    function settleSlicesForged(uint256 which, uint256 mask, uint256 seed) external move {
        uint256 place = _liveReservation(which);
        if (place == ledger.NONE()) return;
        Reservation memory r = ledger.reservation(place);
        Entry memory entry = ledger.entry(r.entry);
        Terms memory terms = world.offer(entry.offer);
        (SliceRow[] memory rows, ) = _slices(r, entry, mask | 1, seed);
        address thief = world.thief();
        uint256 kind = seed % 6;
        if (kind == 0) rows[0].node = thief;
        if (kind == 1) rows[0].evidenceKey = bytes32(uint256(uint160(thief)));
        if (kind == 2) r.allocation.cap = type(uint96).max;
        if (kind == 3) r.allocation.series ^= 1;
        if (kind == 4) rows[rows.length - 1].index = uint8(r.nodes.length);
        if (kind == 5) rows = _doubled(rows[0]);
        rows[0].evidence = SliceCalls.evidence(world, thief, r.id, rows[0]);
        (bool success, bytes memory answer) = _send(thief, SliceCalls.settleData(terms, entry.order, r, rows));
        uint256 counted = success ? abi.decode(answer, (uint256)) : 0;
        _expect(counted == 0, true, Guarantee.E9, "a slice was settled that nobody reserved");
        ledger.count("settleSlicesForged", true);
    }

    /// @notice A slice's node settles its slice, or all of the order, as if it were a direct order's (F3).
    function settleRoutedAsDirect(uint256 which, uint256 seed) external move {
        uint256 index = _routedEntry(which);
        if (index == ledger.NONE()) return;
        Entry memory entry = ledger.entry(index);
        Terms memory terms = world.offer(entry.offer);
        address node = world.nodes(seed % 2);
        if (seed % 4 < 2) (terms.node, terms.evidenceKey) = (node, 0);
        SettleRow[] memory rows = new SettleRow[](1);
        rows[0] = SettleRow(entry.order, entry.order.amount, keccak256("receipts"), 1, true);
        bytes memory data = abi.encodeCall(escrow.settle, (terms, rows, _evidence(node, terms, rows)));
        (bool success, bytes memory answer) = _send(node, data);
        uint256 counted = success ? abi.decode(answer, (uint256)) : 0;
        _expect(counted == 0, true, Guarantee.E2, "a node settled a routed order as a direct one");
        ledger.count("settleRoutedAsDirect", entry.open);
    }

    /// @notice The facilitator ends a routed order, which it can only while nothing is reserved.
    function releaseRouted(uint256 which) external move {
        uint256 index = _routedEntry(which);
        if (index == ledger.NONE()) return;
        Entry memory entry = ledger.entry(index);
        Terms memory terms = world.offer(entry.offer);
        (bool success, ) = _send(terms.facilitator, abi.encodeCall(escrow.release, (terms, entry.order)));
        bool foretold = entry.open && entry.reserved == 0;
        _expect(success, foretold, Guarantee.E2, "a facilitator released reserved slices, or could not release");
        if (success) ledger.close(index);
        ledger.count("releaseRouted", success);
    }

    // ---- allocating, inside ----

    function _newReservation(uint256 index, uint256 size, uint256 seed) private view returns (Reservation memory r) {
        Entry memory entry = ledger.entry(index);
        uint256 count = 1 + (size % 7);
        r.nodes = new address[](count);
        r.keys = new bytes32[](count);
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            r.nodes[i] = world.nodes((seed >> (8 + i)) % 3);
            r.keys[i] = _keyFor(world.offer(entry.offer).evidenceKey, r.nodes[i], seed >> (24 + 4 * i));
            leaves[i] = SliceTree.leaf(r.nodes[i], r.keys[i]);
        }
        uint256 room = ledger.free(index) / count;
        // Too much, all, nothing, or a part, so that there is room for more.
        uint256 kind = (seed >> 64) % 8;
        uint256 cap = kind == 0 ? room + 1 : room;
        if (kind == 2) cap = 0;
        if (kind > 2) cap = (room + 1) / 2;
        if (cap > type(uint96).max) cap = type(uint96).max;
        r.allocation = Allocation(SliceTree.root(leaves), uint8(count), uint96(cap), uint64(seed >> 192));
        r.id = Signing.allocationId(entry.id, r.allocation);
    }

    /// @dev The pinned key, mostly, where the payer pinned one; else the node's own or a separate one.
    function _keyFor(bytes32 pinned, address node, uint256 seed) private view returns (bytes32) {
        bytes32 separate = world.offer(1).evidenceKey;
        if (pinned != 0) return seed % 8 == 0 ? bytes32(uint256(uint160(node))) : pinned;
        return seed % 4 == 0 ? separate : bytes32(0);
    }

    /// @dev By the facilitator, or by anyone with its signature, or (3) with another's.
    function _allocate(
        Entry memory entry,
        Allocation memory allocation,
        uint256 seed
    ) private returns (bool success, bytes memory answer) {
        Terms memory terms = world.offer(entry.offer);
        address signer = seed % 8 == 3 ? world.thief() : terms.facilitator;
        bytes memory signature = world.signAllocation(signer, entry.id, allocation);
        // A wallet that signs all would sign that, too.
        if (seed % 8 == 3 && terms.facilitator.code.length != 0) terms.facilitator = world.sponsor();
        address caller = seed % 8 == 0 ? terms.facilitator : world.thief();
        return _send(caller, abi.encodeCall(escrow.allocate, (terms, entry.order, allocation, signature)));
    }

    // ---- settling, inside ----

    function _slices(
        Reservation memory r,
        Entry memory entry,
        uint256 mask,
        uint256 seed
    ) private view returns (SliceRow[] memory rows, SliceStep[] memory steps) {
        uint256 count = r.nodes.length;
        uint256 length = 0;
        for (uint256 i = 0; i < count; ++i) length += (mask >> i) & 1;
        rows = new SliceRow[](length);
        steps = new SliceStep[](length);
        length = 0;
        for (uint256 i = 0; i < count; ++i) {
            if ((mask >> i) & 1 == 0) continue;
            seed = uint256(keccak256(abi.encode(seed)));
            uint96 fee = _sliceFee(r.allocation.cap, seed);
            SliceRow memory row = SliceRow(uint8(i), r.nodes[i], r.keys[i], fee, keccak256(abi.encode(seed)), 1, "");
            address judge = SliceCalls.judgeOf(r, i);
            bool forged = (seed >> 8) % 8 == 0;
            row.evidence = SliceCalls.evidence(world, forged ? world.thief() : judge, r.id, row);
            rows[length] = row;
            steps[length++] = SliceStep(i, fee, _accepts(entry.offer, judge, forged));
        }
    }

    /// @dev A hostile judge does as it likes whatever the evidence, and a wallet too.
    function _accepts(uint256 offer, address judge, bool forged) private view returns (bool) {
        bool foreign = offer == world.ROUTED_BY_WALLET() || judge == world.nodes(2);
        return SliceCalls.accepts(world, offer, judge) && (foreign || !forged);
    }

    function _sliceFee(uint96 cap, uint256 seed) private pure returns (uint96) {
        uint256 kind = seed % 8;
        if (kind == 0) return 0;
        if (kind == 1) return cap;
        if (kind == 2) return cap == type(uint96).max ? cap : cap + 1;
        return uint96((seed >> 16) % (uint256(cap) + 1));
    }

    /// @dev Blames where a slice was settled under another key than the payer pinned, whatever its judge said.
    function _requirePinned(bytes32 pinned, Reservation memory r) private {
        if (pinned == 0) return;
        (, uint256 unsettled) = escrow.unsettledSlices(r.id);
        for (uint256 i = 0; i < r.keys.length; ++i) {
            bool settled = (unsettled >> i) & 1 == 0;
            if (settled && r.keys[i] != pinned) ledger.blame(Guarantee.E9, "a slice was settled under another key");
        }
    }

    function _doubled(SliceRow memory row) private pure returns (SliceRow[] memory rows) {
        rows = new SliceRow[](2);
        (rows[0], rows[1]) = (row, row);
    }

    // ---- choosing ----

    /// @dev A sponsor's order, divided by its facilitator.
    function _reserve(uint256 seed) private returns (uint256 place) {
        uint256 offer = world.ROUTED();
        Terms memory terms = world.offer(offer);
        Order memory order = _newOrder(offer, _payer(seed), seed);
        order.amount = order.amount < 1_000 ? 1_000 : order.amount;
        order.claimBy = uint40(block.timestamp + 30 days);
        (bool success, ) = _send(world.sponsor(), abi.encodeCall(escrow.openFunded, (terms, order)));
        if (!success) return ledger.NONE();
        ledger.open(offer, order, world.orderId(terms, order), world.sponsor(), false);
        uint256 index = ledger.entryCount() - 1;
        Reservation memory r = _newReservation(index, seed >> 8, seed - (seed & (7 << 64)) + (5 << 64));
        (success, ) = _allocate(ledger.entry(index), r.allocation, 0);
        if (!success) return ledger.NONE();
        ledger.allocate(index, r.id, r.allocation, r.nodes, r.keys);
        return ledger.reservationCount() - 1;
    }

    /// @dev Of some routed orders one that is open, seven times in eight; else any.
    function _routedEntry(uint256 seed) private view returns (uint256 index) {
        uint256 offer = seed % 2 == 0 ? world.ROUTED() : world.ROUTED_BY_WALLET();
        uint256 known = ledger.countOf(offer);
        if (known == 0) return ledger.NONE();
        return _live(offer, known, seed >> 8);
    }

    function _liveReservation(uint256 seed) private returns (uint256 place) {
        uint256 count = ledger.reservationCount();
        for (uint256 i = 0; i < 12 && count != 0; ++i) {
            place = ((seed >> 8) + i) % count;
            if (seed % 16 == 0) return place;
            Reservation memory r = ledger.reservation(place);
            Entry memory entry = ledger.entry(r.entry);
            bool rest = false;
            for (uint256 j = 0; j < r.settled.length; ++j) rest = rest || !r.settled[j];
            if (rest && entry.open && block.timestamp < entry.order.claimBy) return place;
        }
        return _reserve(seed);
    }
}
