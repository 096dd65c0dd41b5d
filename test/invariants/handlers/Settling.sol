// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {HostileVerifier} from "../../../contracts/dev/mocks/HostileVerifier.sol";
import {HostileWallet} from "../../../contracts/dev/mocks/HostileWallet.sol";
import {SettleRow} from "../../../contracts/types/Settlement.sol";
import {Terms} from "../../../contracts/types/WorkOrder.sol";
import {Guarantee} from "../support/Guarantee.sol";
import {Ledger, Step} from "../support/Ledger.sol";
import {World} from "../support/World.sol";
import {Handler} from "./Handler.sol";

/// @title Settling
/// @notice Settlements with good, stale, overdrawn, late, forged and foreign evidence, before judges of all kinds.
contract Settling is Handler {
    constructor(World world_, Ledger ledger_) Handler(world_, ledger_) {}

    function settle(uint256 what, uint256 size, uint256 seed) external move {
        _settle("settle", what % world.DIRECT_OFFERS(), 1 + (size % 4), seed, false);
    }

    function settleWithClaim(uint256 what, uint256 size, uint256 seed) external move {
        _settle("settleWithClaim", what % world.DIRECT_OFFERS(), 1 + (size % 3), seed, true);
    }

    /// @notice A good settlement, and the same evidence once more: the second time moves nothing.
    function settleTwice(uint256 what, uint256 seed) external move {
        uint256 offer = what % world.DIRECT_OFFERS();
        (SettleRow[] memory rows, Step[] memory steps) = _rows(offer, 1, seed);
        bytes memory data = _call(offer, rows, false);
        if (!world.judgeAccepts(offer)) return;
        _prove(steps);
        _send(_anyone(seed), data);
        ledger.count("settleTwice", ledger.settle(offer, steps, false) != 0);
        (bool success, bytes memory answer) = _send(_anyone(seed >> 8), data);
        uint256 counted = success ? abi.decode(answer, (uint256)) : 1;
        _expect(counted == 0, true, Guarantee.E5, "one settlement counted twice");
    }

    /// @notice Evidence that the key did not make for these rows.
    function settleForged(uint256 what, uint256 size, uint256 seed) external move {
        uint256 offer = what % world.HONEST_OFFERS();
        Terms memory terms = world.offer(offer);
        (SettleRow[] memory rows, Step[] memory steps) = _rows(offer, 1 + (size % 3), seed);
        bytes memory evidence = _forge(terms, rows, seed);
        bytes memory data =
            seed % 2 == 0
                ? abi.encodeCall(escrow.settle, (terms, rows, evidence))
                : abi.encodeCall(escrow.settleWithClaim, (terms, rows, evidence));
        (bool success, ) = _send(terms.node, data);
        ledger.count("settleForged", _matters(steps));
        _expect(success, false, Guarantee.E3, "forged evidence settled");
    }

    /// @notice Good evidence under other terms than the payer signed: no order is known by them.
    function settleForeign(uint256 what, uint256 size, uint256 seed) external move {
        uint256 offer = what % world.DIRECT_OFFERS();
        Terms memory terms = world.offer(offer);
        (SettleRow[] memory rows, Step[] memory steps) = _rows(offer, 1 + (size % 3), seed);
        address thief = world.thief();
        uint256 kind = seed % 6;
        if (kind == 0) terms.verifier = address(world.yesVerifier());
        if (kind == 1) terms.evidenceKey = bytes32(uint256(uint160(thief)));
        if (kind == 2) (terms.node, terms.evidenceKey) = (thief, 0);
        if (kind == 3) (terms.facilitator, terms.facilitatorBps) = (thief, 2_000);
        if (kind == 4) terms.modelId = keccak256("another model");
        for (uint256 i = 0; kind == 5 && i < rows.length; ++i) rows[i].order.payer = thief;
        bytes memory evidence = _evidence(world.judgeOf(terms), terms, rows);
        bytes memory data = abi.encodeCall(escrow.settle, (terms, rows, evidence));
        (bool success, bytes memory answer) = _send(thief, data);
        uint256 counted = _amountIn(success, answer);
        ledger.count("settleForeign", _matters(steps));
        _expect(counted == 0, true, Guarantee.E9, "evidence under other terms settled an order");
    }

    /// @notice The judge changes its mind: it may refuse, revert, answer rubbish, burn gas, call back or try to write.
    function turnJudge(uint256 mood, uint256 wallet, uint256 seed) external move {
        HostileVerifier verifier = world.hostileVerifier();
        bytes memory callback = abi.encodeCall(escrow.claimTo, (world.thief()));
        if (seed % 2 == 0) callback = abi.encodeCall(escrow.claim, (world.nodes(1)));
        verifier.setCallback(address(escrow), callback);
        verifier.setMood(HostileVerifier.Mood(seed % 3 == 0 ? 0 : mood % 11));
        HostileWallet(world.nodes(2)).setMood(HostileWallet.Mood(seed % 5 < 2 ? 0 : wallet % 7));
        ledger.count("turnJudge", true);
    }

    // ---- inside ----

    function _settle(bytes32 name, uint256 offer, uint256 size, uint256 seed, bool withClaim) private {
        (SettleRow[] memory rows, Step[] memory steps) = _rows(offer, size, seed);
        bytes memory data = _call(offer, rows, withClaim);
        bool accepts = world.judgeAccepts(offer);
        if (accepts) _prove(steps);
        (bool success, bytes memory answer) = _send(_anyone(seed), data);

        if (success && !accepts) ledger.blame(Guarantee.E3, "a settlement that the judge refused");
        // Who claims must be paid: a node that the token refuses settles without.
        if (withClaim && !token.pays(world.offer(offer).node)) accepts = success;
        if (!success && accepts) ledger.blame(Guarantee.E2, "a settlement with good evidence failed");
        uint256 counted = success ? ledger.settle(offer, steps, withClaim) : 0;
        ledger.count(name, counted != 0);
        if (!success) return;
        if (abi.decode(answer, (uint256)) != counted) {
            ledger.blame(Guarantee.E8, "other rows counted than the rules say");
        }
    }

    function _rows(
        uint256 offer,
        uint256 size,
        uint256 seed
    ) private returns (SettleRow[] memory rows, Step[] memory steps) {
        rows = new SettleRow[](size);
        steps = new Step[](size);
        for (uint256 i = 0; i < size; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            (rows[i], steps[i]) = _row(offer, seed);
        }
    }

    function _call(uint256 offer, SettleRow[] memory rows, bool withClaim) private view returns (bytes memory) {
        Terms memory terms = world.offer(offer);
        bytes memory evidence = _evidence(world.judgeOf(terms), terms, rows);
        return
            withClaim
                ? abi.encodeCall(escrow.settleWithClaim, (terms, rows, evidence))
                : abi.encodeCall(escrow.settle, (terms, rows, evidence));
    }

    function _prove(Step[] memory steps) private {
        for (uint256 i = 0; i < steps.length; ++i) ledger.prove(steps[i].entry, steps[i].cumulativeFee);
    }

    function _forge(Terms memory terms, SettleRow[] memory rows, uint256 seed) private view returns (bytes memory) {
        uint256 kind = (seed >> 8) % 6;
        if (kind == 0) return _evidence(world.thief(), terms, rows);
        if (kind == 1) return new bytes((seed >> 16) % 200);
        if (kind == 2) return _evidence(world.nodes(terms.node == world.nodes(0) ? 1 : 0), terms, rows);
        bytes memory good = _evidence(world.judgeOf(terms), terms, rows);
        if (kind == 3) good[(seed >> 16) % 64] ^= 0x01;
        if (kind == 4) good = abi.encodePacked(good, uint8(0));
        if (kind == 5) rows[0].receiptsRoot = keccak256("other receipts");
        return good;
    }
}
