// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";

import {SettleRow} from "../../../contracts/types/Settlement.sol";
import {Order, Terms} from "../../../contracts/types/WorkOrder.sol";
import {Guarantee} from "../support/Guarantee.sol";
import {Entry, Ledger, Step} from "../support/Ledger.sol";
import {World} from "../support/World.sol";
import {Handler} from "./Handler.sol";

/// @title Multicalling
/// @notice Several calls in one transaction: none sees more of the escrow than it would alone.
contract Multicalling is Handler {
    constructor(World world_, Ledger ledger_) Handler(world_, ledger_) {}

    function settleThenClaim(uint256 what, uint256 seed) external move {
        uint256 offer = what % world.HONEST_OFFERS();
        Terms memory terms = world.offer(offer);
        SettleRow[] memory rows = new SettleRow[](1);
        Step[] memory steps = new Step[](1);
        (rows[0], steps[0]) = _row(offer, seed);
        bytes memory evidence = _evidence(world.judgeOf(terms), terms, rows);
        ledger.prove(steps[0].entry, steps[0].cumulativeFee);

        bool success = _multicall(
            _anyone(seed),
            abi.encodeCall(escrow.settle, (terms, rows, evidence)),
            abi.encodeCall(escrow.claim, (terms.node))
        );
        _expect(success || !token.pays(terms.node), true, Guarantee.E2, "settling and claiming in one call failed");
        if (!success) return ledger.count("settleThenClaim", false);
        ledger.count("settleThenClaim", ledger.settle(offer, steps, false) != 0);
        ledger.claim(terms.node, terms.node);
    }

    /// @notice The same funds twice, and the same rest twice.
    function fundTwice(uint256 who, uint256 what, uint256 seed) external move {
        uint256 offer = what % world.OFFERS();
        Terms memory terms = world.offer(offer);
        Order memory order = _newOrder(offer, _payer(who), seed);
        bool foretold = ledger.canOpen(terms.modelId);
        bytes memory data = abi.encodeCall(escrow.openFunded, (terms, order));
        bool success = _multicall(world.sponsor(), data, data);
        ledger.count("fundTwice", success);
        _expect(success, foretold, Guarantee.E5, "a doubled opening failed, or opened against the policy");
        if (success) ledger.open(offer, order, world.orderId(terms, order), world.sponsor(), false);
    }

    function reclaimTwice(uint256 which, uint256 who) external move {
        if (ledger.entryCount() == 0) return;
        Entry memory entry = ledger.entry(_overdue(which));
        bytes memory data = abi.encodeCall(escrow.reclaim, (world.offer(entry.offer), entry.order));
        bool success = _multicall(_anyone(who), data, data);
        ledger.count("reclaimTwice", entry.open && entry.order.claimBy <= block.timestamp);
        _expect(success, false, Guarantee.E5, "one rest left twice");
    }

    /// @notice A credit claimed by its owner twice in one call, here and there.
    function claimTwice(uint256 who, uint256 where) external move {
        address account = _payee(who);
        address to = _anyone(where);
        ledger.count("claimTwice", ledger.credit(account) != 0);
        bool foretold = ledger.canPayOut(ledger.credit(account), to);
        bool success = _multicall(
            account,
            abi.encodeCall(escrow.claimTo, (to)),
            abi.encodeCall(escrow.claim, (account))
        );
        _expect(success, foretold, Guarantee.E10, "claiming twice in one call failed");
        if (success) ledger.claim(account, to);
    }

    function _multicall(address from, bytes memory first, bytes memory second) private returns (bool success) {
        bytes[] memory calls = new bytes[](2);
        (calls[0], calls[1]) = (first, second);
        (success, ) = _send(from, abi.encodeCall(Multicall.multicall, (calls)));
    }
}
