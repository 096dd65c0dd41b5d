// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Allocation} from "../../../contracts/types/Slice.sol";
import {Terms} from "../../../contracts/types/WorkOrder.sol";
import {Books, Entry, Step} from "./Books.sol";
import {Division} from "./Division.sol";
import {Guarantee} from "./Guarantee.sol";
import {World} from "./World.sol";

/// @dev Slices that were reserved together.
struct Reservation {
    uint256 entry;
    bytes32 id;
    Allocation allocation;
    address[] nodes;
    bytes32[] keys;
    bool[] settled;
}

/// @dev One slice in a settlement; `accepted` where its judge says yes.
struct SliceStep {
    uint256 index;
    uint96 fee;
    bool accepted;
}

/// @title Ledger
/// @notice The books, with slices of routed orders.
contract Ledger is Books {
    using Division for Division.Shares;

    Reservation[] private _reservations;
    mapping(bytes32 allocationId => bool) private _allocated;
    mapping(bytes32 sliceId => uint96) private _provenOf;

    /// @notice Fees of slices that went to their nodes at once.
    uint256 public paidToSlices;

    constructor(World world) Books(world) {}

    function reservationCount() external view returns (uint256) {
        return _reservations.length;
    }

    function reservation(uint256 index) external view returns (Reservation memory) {
        return _reservations[index];
    }

    /// @notice What a routed order has for further slices.
    function free(uint256 index) external view returns (uint256) {
        Entry storage e = _entries[index];
        uint256 taken = uint256(e.released) + e.reserved;
        return taken > e.order.amount ? 0 : e.order.amount - taken;
    }

    function isAllocated(bytes32 id) external view returns (bool) {
        return _allocated[id];
    }

    function allocate(
        uint256 index,
        bytes32 id,
        Allocation calldata allocation,
        address[] calldata nodes,
        bytes32[] calldata keys
    ) external {
        if (_allocated[id]) _note(Guarantee.E5, "an allocation was made twice");
        _allocated[id] = true;
        Reservation storage r = _reservations.push();
        (r.entry, r.id, r.allocation, r.nodes, r.keys) = (index, id, allocation, nodes, keys);
        r.settled = new bool[](nodes.length);
        _entries[index].reserved += uint96(nodes.length) * allocation.cap; // fits, or it would not have been allowed
        touched = index;
    }

    /// @notice Good evidence was made for a slice.
    function proveSlice(uint256 place, uint256 index, uint96 fee) external {
        Reservation storage r = _reservations[place];
        bytes32 id = keccak256(abi.encode(r.id, index));
        if (fee <= _provenOf[id]) return;
        provenFor[r.nodes[index]] += fee - _provenOf[id];
        _entries[r.entry].proven += fee - _provenOf[id];
        _provenOf[id] = fee;
    }

    /// @notice Whether a slice counts, at this time and as things are.
    function takesSlice(uint256 place, SliceStep calldata step) public view returns (bool) {
        Reservation storage r = _reservations[place];
        Entry storage e = _entries[r.entry];
        if (!e.open || clock >= e.order.claimBy) return false;
        if (r.settled[step.index] || step.fee > r.allocation.cap) return false;
        bytes32 pinned = _world.offer(e.offer).evidenceKey;
        return step.accepted && (pinned == 0 || pinned == r.keys[step.index]);
    }

    /// @notice Settles slices of one allocation, as the rules say. @return settled slices that counted
    function settleSlices(uint256 place, SliceStep[] calldata steps) external returns (uint256 settled) {
        Reservation storage r = _reservations[place];
        Entry storage e = _entries[r.entry];
        Terms memory terms = _world.offer(e.offer);
        Division.Shares memory shares;
        for (uint256 i = 0; i < steps.length; ++i) {
            if (!takesSlice(place, steps[i])) continue;
            ++settled;
            r.settled[steps[i].index] = true;
            uint256 nodeFee = shares.add(e.networkBps, e.royaltyBps, terms.facilitatorBps, 0, steps[i].fee);
            e.reserved -= r.allocation.cap;
            e.released += steps[i].fee;
            e.toNode += nodeFee;
            e.toOthers += steps[i].fee - nodeFee;
            if (_transferOrCredit(r.nodes[steps[i].index], nodeFee)) paidToSlices += nodeFee;
        }
        shares.divide(terms.facilitatorBps);
        credit[terms.facilitator] += shares.facilitator;
        royalty[terms.modelId] += shares.royalty;
        networkCredit += shares.network; // there is no node whose credit it could wait with
        touched = r.entry;
    }
}
