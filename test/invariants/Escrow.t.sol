// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IInferenceEscrow} from "../../contracts/interfaces/IInferenceEscrow.sol";
import {Guarantee} from "./support/Guarantee.sol";
import {Entry} from "./support/Ledger.sol";
import {Probes} from "./support/Probes.sol";

/// @title EscrowInvariants
/// @notice E1 to E10 of docs/SPEC.md, after every move of any actor. Each looks at the escrow itself and compares it with
/// the ledger, and fails too where a move saw what the guarantee forbids.
contract EscrowInvariants is Probes {
    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < handlers.length; ++i) targetContract(handlers[i]);
    }

    /// @notice The balance covers what open orders have left and all credits; to the last unit, but for donations.
    function invariant_E1_solvent() external view {
        _requireBlameless(Guarantee.E1);
        uint256 owed = _allCredits();
        Entry[] memory entries = ledger.entries();
        for (uint256 i = 0; i < entries.length; ++i) owed += _leftOnChain(entries[i].id);
        assertEq(token.balanceOf(address(escrow)), owed + ledger.donated(), "E1: balance is not what is owed");
    }

    /// @notice The whole rest of an order could be settled now, and would be paid to its node.
    function invariant_E2_reservedMeansPayable() external {
        _requireBlameless(Guarantee.E2);
        _forSomeOrders(this.settleRest);
    }

    /// @notice A node has, and is owed, no more than its judges gave evidence for.
    function invariant_E3_noEvidenceNoRelease() external view {
        _requireBlameless(Guarantee.E3);
        Entry[] memory entries = ledger.entries();
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry memory entry = entries[i];
            if (entry.open) assertLe(escrow.orders(entry.id).released, entry.proven, "E3: released without evidence");
        }
        for (uint256 i = 0; i < 3; ++i) {
            address node = world.nodes(i);
            uint256 has = token.balanceOf(node) + escrow.credits(node);
            assertLe(has, ledger.provenFor(node) + ledger.given(node), "E3: a node has more than was proven");
        }
    }

    /// @notice Every order that the escrow knows is one that was signed or funded, with its amount, and released less.
    function invariant_E4_neverMoreThanSigned() external view {
        _requireBlameless(Guarantee.E4);
        Entry[] memory entries = ledger.entries();
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry memory entry = entries[i];
            IInferenceEscrow.OrderView memory state = escrow.orders(entry.id);
            assertEq(state.amount, entry.order.amount, "E4: not the amount that was signed");
            if (!entry.open) continue;
            assertLe(state.released, state.amount, "E4: more released than signed");
            assertLe(uint256(state.released) + state.reserved, state.amount, "E4: more reserved than signed");
            assertEq(state.reserved, entry.reserved, "E4: reserved is not what was allocated");
            assertEq(state.released, entry.released, "E4: released is not what was settled");
        }
    }

    /// @notice What came in and what went out, counted in tokens, is what orders opened with and what left them, once.
    function invariant_E5_once() external view {
        _requireBlameless(Guarantee.E5);
        uint256 cameIn = ledger.opened() + ledger.donated();
        uint256 wentOut = ledger.refunded() + ledger.claimed() + ledger.paidToSlices();
        assertEq(token.balanceOf(address(escrow)), cameIn - wentOut, "E5: a unit came or left twice");
        Entry[] memory entries = ledger.entries();
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry memory entry = entries[i];
            assertEq(escrow.orders(entry.id).closed, !entry.open, "E5: an order closed or opened again");
        }
    }

    /// @notice From `claimBy` on a stranger returns the rest to the payer; not a second before.
    function invariant_E6_wayBackIsOpen() external {
        _requireBlameless(Guarantee.E6);
        _forSomeOrders(this.reclaimInTime);
    }

    /// @notice For a closed order shares and refund are its amount; and all credits and payouts are those shares.
    function invariant_E7_conserved() external view {
        _requireBlameless(Guarantee.E7);
        uint256 toOthersAndNodes = 0;
        Entry[] memory entries = ledger.entries();
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry memory entry = entries[i];
            uint256 out = entry.toNode + entry.toOthers + entry.refunded;
            toOthersAndNodes += entry.toNode + entry.toOthers;
            if (!entry.open) assertEq(out, entry.order.amount, "E7: shares and refund are not the amount");
            assertEq(_leftOnChain(entry.id), entry.order.amount - out, "E7: the escrow holds another rest");
        }
        uint256 owed = _allCredits();
        assertEq(
            owed + ledger.claimed() + ledger.paidToSlices(),
            toOthersAndNodes + ledger.refundsCredited(),
            "E7: credits are not the shares"
        );
    }

    /// @notice No order or row was held up by another of its batch: handlers foretold each.
    function invariant_E8_isolated() external view {
        _requireBlameless(Guarantee.E8);
    }

    /// @notice Shares are those of the moment of opening, and no other verifier, key or share ever settled.
    function invariant_E9_pinned() external view {
        _requireBlameless(Guarantee.E9);
        Entry[] memory entries = ledger.entries();
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry memory entry = entries[i];
            IInferenceEscrow.OrderView memory state = escrow.orders(entry.id);
            assertEq(state.networkBps, entry.networkBps, "E9: the network's share changed");
            assertEq(state.royaltyBps, entry.royaltyBps, "E9: the royalty share changed");
        }
    }

    /// @notice Everybody has and is owed what the rules say, whoever called what.
    function invariant_E10_noKeyToTheVault() external view {
        _requireBlameless(Guarantee.E10);
        for (uint256 i = 0; i < accounts.length; ++i) {
            address account = accounts[i];
            assertEq(token.balanceOf(account), ledger.balance(account), "E10: somebody has what is not due to him");
            assertEq(escrow.credits(account), ledger.credit(account), "E10: somebody is owed what is not due to him");
            assertEq(escrow.networkCreditWith(account), ledger.networkWith(account), "E10: the network's with a node");
        }
        for (uint256 i = 0; i < models.length; ++i) {
            bytes32 model = models[i];
            assertEq(escrow.royalties(model), ledger.royalty(model), "E10: a model is owed what is not due to it");
        }
        assertEq(escrow.networkCredit(), ledger.networkCredit(), "E10: the network is owed what is not due to it");
    }

    /// @notice At the end of a run everybody comes at once: judges settle, payers reclaim, all claim; and nothing but
    /// donations is left.
    function afterInvariant() external {
        _bankRun();
    }
}
