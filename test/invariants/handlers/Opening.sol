// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Order, SignedOrder, Terms} from "../../../contracts/types/WorkOrder.sol";
import {Guarantee} from "../support/Guarantee.sol";
import {Entry, Ledger} from "../support/Ledger.sol";
import {World} from "../support/World.sol";
import {Handler} from "./Handler.sol";

/// @title Opening
/// @notice Orders opened one by one: as signed, on other terms, again, and with somebody else's money.
contract Opening is Handler {
    constructor(World world_, Ledger ledger_) Handler(world_, ledger_) {}

    function open(uint256 who, uint256 what, uint256 seed) external move {
        uint256 offer = what % world.OFFERS();
        Order memory order = _newOrder(offer, _payer(who), seed);
        _restore(order.payer, seed >> 4);
        _open("open", offer, order);
    }

    /// @notice One permit, two orders: the second finds the nonce used.
    function openTwiceByOnePermit(uint256 who, uint256 what, uint256 seed) external move {
        uint256 offer = what % world.OFFERS();
        Order memory order = _newOrder(offer, _keyPayer(who), seed);
        _restore(order.payer, seed >> 4);
        if (!_open("openTwiceByOnePermit", offer, order)) return;
        order.amount = order.amount == 1 ? 2 : order.amount - 1;
        Terms memory terms = world.offer(offer);
        (bool success, ) = _send(_anyone(seed), abi.encodeCall(escrow.open, (terms, _sign(terms, order))));
        if (success) ledger.blame(Guarantee.E5, "a used nonce opened an order");
    }

    /// @notice Something in the order or its terms is not what the payer signed.
    function openTampered(uint256 who, uint256 what, uint256 seed) external move {
        uint256 offer = what % world.OFFERS();
        Terms memory terms = world.offer(offer);
        address payer = _keyPayer(who);
        SignedOrder memory signed = _sign(terms, _newOrder(offer, payer, seed));
        _tamper(terms, signed, seed);
        (bool success, ) = _send(_anyone(seed >> 8), abi.encodeCall(escrow.open, (terms, signed)));
        ledger.count("openTampered", true);
        _expect(success, false, Guarantee.E4, "an order opened on other terms than signed");
    }

    /// @notice Nothing that was opened opens again, by the same signature or with anybody's money.
    function replay(uint256 which, uint256 seed) external move {
        if (ledger.entryCount() == 0) return;
        Entry memory entry = ledger.entry(which % ledger.entryCount());
        Terms memory terms = world.offer(entry.offer);
        bytes memory data =
            seed % 2 == 0
                ? abi.encodeCall(escrow.open, (terms, _sign(terms, entry.order)))
                : abi.encodeCall(escrow.openFunded, (terms, entry.order));
        (bool success, bytes memory answer) = _send(world.sponsor(), data);
        bool opened = success && abi.decode(answer, (bool));
        ledger.count("replay", true);
        _expect(success && !opened, true, Guarantee.E5, "an order opened again, or its replay failed");
    }

    function openFunded(uint256 who, uint256 what, uint256 seed) external move {
        uint256 offer = what % world.OFFERS();
        Terms memory terms = world.offer(offer);
        Order memory order = _newOrder(offer, _payer(who), seed);
        bool foretold = ledger.canOpen(terms.modelId);
        (bool success, ) = _send(world.sponsor(), abi.encodeCall(escrow.openFunded, (terms, order)));
        if (success) ledger.open(offer, order, world.orderId(terms, order), world.sponsor(), false);
        ledger.count("openFunded", success);
        _expect(success, foretold, Guarantee.E10, "a funded order did not do as the policy lets it");
    }

    /// @notice Orders that must not open, whoever signs them.
    function openDefective(uint256 who, uint256 what, uint256 seed) external move {
        uint256 offer = what % world.OFFERS();
        Terms memory terms = world.offer(offer);
        Order memory order = _newOrder(offer, _payer(who), seed);
        _restore(order.payer, 1);
        uint256 kind = seed % 10;
        if (kind == 0) order.amount = 0;
        if (kind == 1) order.payer = address(0);
        if (kind == 2) order.payer = address(escrow);
        if (kind == 3) order.claimBy = uint40(block.timestamp - ((seed >> 8) % 2));
        if (kind == 4) order.claimBy = uint40(block.timestamp + MAX_WINDOW + 1);
        if (kind == 5) terms.node = address(escrow);
        if (kind == 6) terms.verifier = world.thief();
        if (kind == 7) terms.facilitatorBps = 2_001;
        if (kind == 8) (terms.facilitator, terms.facilitatorBps) = (address(0), 1);
        // A routed order for one request could be sold to many nodes (F3); one that nobody routes is no order.
        if (kind == 9) (terms.node, order.job.requestHash) = (address(0), keccak256("request"));
        bytes memory data =
            (seed >> 16) % 2 == 0
                ? abi.encodeCall(escrow.openFunded, (terms, order))
                : abi.encodeCall(escrow.open, (terms, world.signOrder(order.payer, terms, order, type(uint40).max)));
        (bool success, ) = _send(world.sponsor(), data);
        ledger.count("openDefective", true);
        _expect(success, false, Guarantee.E4, "an order opened that must not");
    }

    /// @dev Opens by the payer's permit. @return success whether it opened
    function _open(bytes32 name, uint256 offer, Order memory order) private returns (bool success) {
        Terms memory terms = world.offer(offer);
        bool foretold = ledger.canOpen(terms.modelId);
        foretold = foretold && world.canPay(order.payer, order.amount);
        foretold = foretold && world.nonceIsFree(order.payer, order.nonce);
        (success, ) = _send(_anyone(order.nonce), abi.encodeCall(escrow.open, (terms, _sign(terms, order))));
        if (success) ledger.open(offer, order, world.orderId(terms, order), order.payer, true);
        ledger.count(name, success);
        _expect(success, foretold, Guarantee.E5, "a signed order did not open, or opened and could not");
    }

    function _tamper(Terms memory terms, SignedOrder memory signed, uint256 seed) private view {
        uint256 kind = seed % 14;
        if (kind == 0) terms.node = world.thief();
        if (kind == 1) terms.facilitator = world.thief();
        if (kind == 2) terms.facilitatorBps = terms.facilitatorBps == 1 ? 2 : terms.facilitatorBps / 2 + 1;
        if (kind == 3) terms.verifier = address(world.yesVerifier());
        if (kind == 4) terms.evidenceKey = bytes32(uint256(uint160(world.thief())));
        if (kind == 5) terms.modelId = keccak256("another model");
        if (kind == 6) signed.order.payer = _otherKeyPayer(signed.order.payer);
        if (kind == 7) ++signed.order.nonce;
        if (kind == 8) signed.order.amount = signed.order.amount == 1 ? 2 : signed.order.amount - 1;
        if (kind == 9) signed.order.job.requester = world.thief();
        if (kind == 10) signed.order.job.requestHash = keccak256("another request");
        if (kind == 11) signed.order.claimBy = uint40(block.timestamp + 45 days + 1);
        if (kind == 12) ++signed.deadline;
        if (kind == 13) signed.signature[(seed >> 8) % 64] ^= 0x01;
        // By chance it was signed so: once more, then.
        if (kind == 11 && signed.deadline == signed.order.claimBy) ++signed.order.claimBy;
    }

    function _otherKeyPayer(address payer) private view returns (address) {
        return payer == world.payers(0) ? world.payers(1) : world.payers(0);
    }
}
