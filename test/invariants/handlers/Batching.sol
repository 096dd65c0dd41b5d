// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {HostileWallet} from "../../../contracts/dev/mocks/HostileWallet.sol";
import {Order, SignedOrder, Terms} from "../../../contracts/types/WorkOrder.sol";
import {Guarantee} from "../support/Guarantee.sol";
import {Ledger} from "../support/Ledger.sol";
import {World} from "../support/World.sol";
import {Handler} from "./Handler.sol";

/// @title Batching
/// @notice Orders opened together: good ones beside forged, replayed and unpaid ones, beside hostile wallets, and by
/// relayers who choose the gas.
contract Batching is Handler {
    /// @dev Enough even for a wallet that answers with much.
    uint256 private constant GAS_PER_ORDER = 250_000;

    constructor(World world_, Ledger ledger_) Handler(world_, ledger_) {}

    /// @notice Up to four orders, any of them bad: those that can open do, the others move nothing.
    function openBatch(uint256 what, uint256 size, uint256 seed) external move {
        uint256 offer = what % world.OFFERS();
        Terms memory terms = world.offer(offer);
        SignedOrder[] memory signed = new SignedOrder[](size % 5);
        bool[] memory good = new bool[](signed.length);
        for (uint256 i = 0; i < signed.length; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            (signed[i], good[i]) = _bid(offer, terms, seed);
            // The same order once more in one batch moves nothing.
            if (i > 0 && (seed >> 248) % 8 == 0) (signed[i], good[i]) = (signed[i - 1], false);
        }
        _foretell(signed, good);
        bool open = ledger.canOpen(terms.modelId);
        (bool success, bytes memory answer) = _send(
            _anyone(seed),
            abi.encodeCall(escrow.openBatch, (terms, signed, GAS_PER_ORDER))
        );
        _expect(success, open, Guarantee.E8, "a batch failed as a whole, or opened against the policy");
        bool did = success && _book(offer, signed, abi.decode(answer, (bool[])), good);
        ledger.count("openBatch", did);
    }

    /// @notice Good orders, one wallet that burns what it gets, and a relayer who gives any gas there is: the batch
    /// opens all good orders, or nothing happened (F5).
    function openBatchStarved(uint256 what, uint256 gasLimit, uint256 seed) external move {
        uint256 offer = what % world.OFFERS();
        Terms memory terms = world.offer(offer);
        SignedOrder[] memory signed = new SignedOrder[](3);
        bool[] memory good = new bool[](3);
        uint256 bad = seed % 4; // the fourth is none
        for (uint256 i = 0; i < 3; ++i) {
            address payer = i == bad ? world.payers(2) : _keyPayer(seed >> i);
            // A good order may be dear, too.
            if (i != bad && (seed >> (4 + i)) % 2 == 0) payer = world.thrifty();
            Order memory order = _newOrder(offer, payer, uint256(keccak256(abi.encode(seed, i))));
            if (payer != world.thrifty()) _restore(payer, seed >> (8 * i));
            signed[i] = _sign(terms, order);
            good[i] = true;
        }
        HostileWallet(world.payers(2)).setMood(HostileWallet.Mood.BurnsGas);
        _foretell(signed, good);
        bool open = ledger.canOpen(terms.modelId);

        (bool success, bytes memory answer) = _sendWith(
            50_000 + (gasLimit % 1_100_000),
            _anyone(seed >> 8),
            abi.encodeCall(escrow.openBatch, (terms, signed, GAS_PER_ORDER))
        );
        if (success && !open) ledger.blame(Guarantee.E8, "a starved batch opened against the policy");
        bool did = success && _book(offer, signed, abi.decode(answer, (bool[])), good);
        ledger.count("openBatchStarved", did);
    }

    function _book(
        uint256 offer,
        SignedOrder[] memory signed,
        bool[] memory opened,
        bool[] memory good
    ) private returns (bool any) {
        Terms memory terms = world.offer(offer);
        for (uint256 i = 0; i < signed.length; ++i) {
            Order memory order = signed[i].order;
            if (good[i] && !opened[i]) ledger.blame(Guarantee.E8, "a good order of a batch did not open");
            if (opened[i] && !good[i]) ledger.blame(Guarantee.E4, "a bad order of a batch opened");
            any = any || opened[i];
            if (opened[i]) ledger.open(offer, order, world.orderId(terms, order), order.payer, true);
        }
    }

    /// @dev Of orders that are good in themselves those that can be paid, one after the other.
    function _foretell(SignedOrder[] memory signed, bool[] memory good) private view {
        for (uint256 i = 0; i < signed.length; ++i) {
            if (!good[i]) continue;
            address payer = signed[i].order.payer;
            uint256 needed = signed[i].order.amount;
            for (uint256 j = 0; j < i; ++j) {
                if (good[j] && signed[j].order.payer == payer) needed += signed[j].order.amount;
            }
            good[i] = world.canPay(payer, needed) && world.nonceIsFree(payer, signed[i].order.nonce);
        }
    }

    /// @dev One order for a batch, and whether it is good in itself.
    function _bid(
        uint256 offer,
        Terms memory terms,
        uint256 seed
    ) private returns (SignedOrder memory signed, bool good) {
        uint256 kind = seed % 8;
        Order memory order = _newOrder(offer, _keyPayer(seed >> 4), seed);
        if (kind == 1) return (world.signOrder(world.thief(), terms, order, order.claimBy), false);
        if (kind == 2) order.payer = world.thief(); // who approved nothing
        if (kind == 3) order.payer = world.payers(2 + ((seed >> 16) % 2)); // a wallet, in whatever mood it is
        if (kind == 4 && ledger.countOf(offer) != 0) {
            // One that is open already, or was.
            uint256 index = ledger.entryOf(offer, (seed >> 16) % ledger.countOf(offer));
            return (_sign(terms, ledger.entry(index).order), false);
        }
        if (kind == 5) order.claimBy = uint40(block.timestamp);
        if (kind == 6) order.amount = 0;
        if (kind != 2 && kind != 3) _restore(order.payer, seed >> 32);
        signed = world.signOrder(order.payer, terms, order, block.timestamp);
        good = kind != 5 && kind != 6;
    }
}
