// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {SettleRow, Settlement} from "../../../contracts/types/Settlement.sol";
import {SliceRow} from "../../../contracts/types/Slice.sol";
import {Terms} from "../../../contracts/types/WorkOrder.sol";
import {Guarantee} from "./Guarantee.sol";
import {Entry, Reservation} from "./Ledger.sol";
import {MoodyOPG} from "./MoodyOPG.sol";
import {SliceCalls} from "./SliceCalls.sol";
import {Stage} from "./Stage.sol";

/// @title Probes
/// @notice What invariants do with the escrow to see what it would do, and undo.
abstract contract Probes is Stage {
    /// @dev Carries out of a probe, whose changes it undoes, what it found.
    error Undone(bool success, bytes answer);

    function _requireBlameless(Guarantee guarantee) internal view {
        assertEq(ledger.blamed(guarantee), "", "a move saw what the guarantee forbids");
    }

    function _leftOnChain(bytes32 id) internal view returns (uint256) {
        IInferenceEscrow.OrderView memory order = escrow.orders(id);
        return order.closed ? 0 : order.amount - order.released;
    }

    function _allCredits() internal view returns (uint256 owed) {
        owed = escrow.networkCredit();
        for (uint256 i = 0; i < accounts.length; ++i) {
            owed += escrow.credits(accounts[i]) + escrow.networkCreditWith(accounts[i]);
        }
        for (uint256 i = 0; i < models.length; ++i) owed += escrow.royalties(models[i]);
    }

    /// @dev The order of the last move, and one other: which one differs from call to call.
    function _forSomeOrders(function(uint256) external probe) internal {
        uint256 count = ledger.entryCount();
        if (count == 0) return;
        _probe(probe, ledger.touched());
        uint256 chance = uint256(keccak256(abi.encode(ledger.clock(), ledger.nextNonce(), ledger.claimed())));
        _probe(probe, chance % count);
    }

    function _probe(function(uint256) external probe, uint256 index) private {
        _inVain(abi.encodeCall(probe, (index)));
    }

    /// @dev Does something and takes it back, but for what it answers; fails as it fails.
    function _inVain(bytes memory data) internal returns (bytes memory answer) {
        vm.warp(ledger.clock());
        try this.undo(data) {
            fail();
        } catch (bytes memory undone) {
            answer = _answerIn(undone);
        }
        vm.warp(ledger.clock());
    }

    /// @notice Calls this contract and reverts with the answer.
    function undo(bytes calldata data) external {
        (bool success, bytes memory answer) = address(this).call(data);
        revert Undone(success, answer);
    }

    function _answerIn(bytes memory undone) private pure returns (bytes memory) {
        uint256 length = undone.length - 4;
        assembly ("memory-safe") {
            undone := add(undone, 0x04)
            mstore(undone, length)
        }
        (bool success, bytes memory answer) = abi.decode(undone, (bool, bytes));
        if (success) return answer;
        assembly ("memory-safe") {
            revert(add(answer, 0x20), mload(answer))
        }
    }

    // ---- probes ----

    /// @notice Settles all that an order holds for its node, if its judge would say so; and the node claims it.
    function settleRest(uint256 index) external {
        Entry memory entry = ledger.entry(index);
        if (!entry.open || block.timestamp >= entry.order.claimBy) return;
        token.turn(MoodyOPG.Mood.Pays, address(0));
        if (entry.offer >= world.DIRECT_OFFERS()) return _settleReserved(index, entry);
        if (!world.judgeAccepts(entry.offer)) return;
        Terms memory terms = world.offer(entry.offer);
        uint256 due = _nodesPart(entry);
        uint256 owed = escrow.credits(terms.node);
        uint256 had = token.balanceOf(terms.node);

        assertEq(_settleRest(entry, terms), 1, "E2: the rest of an order cannot be settled");
        assertGe(escrow.credits(terms.node), owed + due, "E2: the node is not credited its part");
        escrow.claim(terms.node);
        assertGe(token.balanceOf(terms.node), had + owed + due, "E2: the node is not paid its part");
    }

    /// @notice Goes to the last second of an order, in which nobody can reclaim, and to the next, in which a stranger can.
    function reclaimInTime(uint256 index) external {
        Entry memory entry = ledger.entry(index);
        if (!entry.open) return;
        Terms memory terms = world.offer(entry.offer);
        uint256 claimBy = entry.order.claimBy;
        vm.startPrank(world.thief());
        if (block.timestamp < claimBy) {
            vm.warp(claimBy - 1);
            (bool early, ) = address(escrow).call(abi.encodeCall(escrow.reclaim, (terms, entry.order)));
            assertFalse(early, "E6: an order was reclaimed before its time");
            vm.warp(claimBy);
        }
        uint256 had = _wealth(entry.order.payer);
        escrow.reclaim(terms, entry.order);
        uint256 rest = entry.order.amount - entry.released;
        assertEq(_wealth(entry.order.payer), had + rest, "E6: the rest did not go to the payer");
        assertTrue(escrow.orders(entry.id).closed, "E6: a reclaimed order is open");
        vm.stopPrank();
    }

    /// @dev A refund that the token refuses is a credit (F14).
    function _wealth(address payer) private view returns (uint256) {
        return token.pays(payer) ? token.balanceOf(payer) : escrow.credits(payer);
    }

    // ---- the end ----

    function _bankRun() internal {
        vm.warp(ledger.clock());
        Entry[] memory entries = ledger.entries();
        uint256 latest = ledger.clock();
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry memory entry = entries[i];
            if (entry.order.claimBy > latest) latest = entry.order.claimBy;
            if (!entry.open || block.timestamp >= entry.order.claimBy) continue;
            if (entry.offer >= world.DIRECT_OFFERS()) {
                _settleReserved(i, entry);
                continue;
            }
            if (!world.judgeAccepts(entry.offer)) continue;
            assertEq(_settleRest(entry, world.offer(entry.offer)), 1, "E2: a run on the escrow leaves a node unpaid");
        }
        vm.warp(latest);
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry memory entry = entries[i];
            if (!escrow.orders(entry.id).closed) escrow.reclaim(world.offer(entry.offer), entry.order);
        }
        _claimAll();
        assertEq(token.balanceOf(address(escrow)), ledger.donated(), "E1, E7: the escrow is not empty at the end");
    }

    function _claimAll() private {
        token.turn(MoodyOPG.Mood.Pays, address(0));
        for (uint256 i = 0; i < accounts.length; ++i) escrow.claim(accounts[i]);
        world.policySwitch().turnTo(address(world.policy()));
        escrow.claimNetwork(world.policy().networkRecipient());
        // The registry's own models go to their owner; one that nobody registered may have had a hostile registry's.
        world.registrySwitch().turnTo(address(world.hostileRegistry()));
        world.hostileRegistry().setReverts(false);
        for (uint256 i = 0; i < models.length; ++i) {
            escrow.claimRoyalty(models[i], address(world.hostileRegistry()));
        }
    }

    function _settleRest(Entry memory entry, Terms memory terms) private returns (uint256) {
        SettleRow[] memory rows = new SettleRow[](1);
        rows[0] = SettleRow(entry.order, entry.order.amount, keccak256("receipts"), 1, true);
        Settlement[] memory settlements = new Settlement[](1);
        settlements[0] = Settlement(entry.id, entry.order.amount, keccak256("receipts"), 1, true);
        bytes memory evidence = world.signBatch(world.judgeOf(terms), terms, settlements);
        return escrow.settle(terms, rows, evidence);
    }

    /// @dev Settles all that slices of a routed order hold, as far as judges accept, and checks that nodes are paid it.
    function _settleReserved(uint256 index, Entry memory entry) private {
        for (uint256 place = 0; place < ledger.reservationCount(); ++place) {
            Reservation memory r = ledger.reservation(place);
            if (r.entry != index) continue;
            (SliceRow[] memory rows, uint256 due) = _fullRows(entry, r);
            uint256 had = _wealthOfNodes();
            bytes memory data = SliceCalls.settleData(world.offer(entry.offer), entry.order, r, rows);
            (bool success, bytes memory answer) = address(escrow).call(data);
            assertTrue(success, "E2: reserved slices cannot be settled");
            assertEq(abi.decode(answer, (uint256)), rows.length, "E2: a reserved slice cannot be settled");
            assertEq(_wealthOfNodes(), had + due, "E2: nodes are not paid what their slices hold");
        }
    }

    function _fullRows(
        Entry memory entry,
        Reservation memory r
    ) private view returns (SliceRow[] memory rows, uint256 due) {
        rows = new SliceRow[](r.nodes.length);
        uint256 length = 0;
        uint96 cap = r.allocation.cap;
        bytes32 pinned = world.offer(entry.offer).evidenceKey;
        uint256 bps = _poolBps(entry);
        for (uint256 i = 0; i < r.nodes.length; ++i) {
            bool settles = !r.settled[i] && (pinned == 0 || pinned == r.keys[i]);
            address judge = SliceCalls.judgeOf(r, i);
            if (!settles || !SliceCalls.accepts(world, entry.offer, judge)) continue;
            SliceRow memory row = SliceRow(uint8(i), r.nodes[i], r.keys[i], cap, keccak256("receipts"), 1, "");
            row.evidence = SliceCalls.evidence(world, judge, r.id, row);
            rows[length++] = row;
            due += cap - (uint256(cap) * bps) / 10_000;
        }
        // Memory-safe: makes the list shorter.
        assembly ("memory-safe") {
            mstore(rows, length)
        }
    }

    function _wealthOfNodes() private view returns (uint256 wealth) {
        for (uint256 i = 0; i < 3; ++i) wealth += token.balanceOf(world.nodes(i)) + escrow.credits(world.nodes(i));
    }

    function _poolBps(Entry memory entry) private view returns (uint256) {
        return uint256(entry.networkBps) + entry.royaltyBps + world.offer(entry.offer).facilitatorBps;
    }

    function _nodesPart(Entry memory entry) private view returns (uint256) {
        uint256 bps = _poolBps(entry);
        uint256 amount = entry.order.amount;
        return amount - entry.released - ((amount * bps) / 10_000 - (entry.released * bps) / 10_000);
    }
}
