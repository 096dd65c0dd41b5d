// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {FundedOrder} from "../../../contracts/types/Funding.sol";
import {Order, Terms} from "../../../contracts/types/WorkOrder.sol";
import {Guarantee} from "../support/Guarantee.sol";
import {HostileFunder} from "../support/HostileFunder.sol";
import {Ledger} from "../support/Ledger.sol";
import {World} from "../support/World.sol";
import {Handler} from "./Handler.sol";

/// @title Funding
/// @notice Orders opened by what a funder contract delivers: all of it, less, more, nothing, or after calling back.
contract Funding is Handler {
    uint256 private constant GAS_PER_ORDER = 250_000;

    HostileFunder private immutable _funder;

    constructor(World world_, Ledger ledger_) Handler(world_, ledger_) {
        _funder = world_.funder();
    }

    function openVia(uint256 who, uint256 what, uint256 seed) external move {
        uint256 offer = what % world.OFFERS();
        Terms memory terms = world.offer(offer);
        (FundedOrder memory funded, HostileFunder.Mood mood) = _bid(offer, _payer(who), seed);
        _setCallback(terms, funded.order, seed);
        (bool success, ) = _send(_anyone(seed), abi.encodeCall(escrow.openVia, (_funder, terms, funded)));

        bool foretold = ledger.canOpen(terms.modelId) && _speaksTrue(mood) && !_fails(mood);
        _expect(success, foretold, Guarantee.E1, "an order opened with other than its amount, or did not open");
        if (success) ledger.open(offer, funded.order, world.orderId(terms, funded.order), address(_funder), false);
        _requireGuarded();
        ledger.count("openVia", success);
    }

    /// @notice What arrives must be the sum, or nothing opens.
    function openBatchVia(uint256 what, uint256 size, uint256 seed) external move {
        uint256 offer = what % world.OFFERS();
        Terms memory terms = world.offer(offer);
        FundedOrder[] memory funded = new FundedOrder[](size % 4);
        bool[] memory good = new bool[](funded.length);
        int256 excess = 0;
        for (uint256 i = 0; i < funded.length; ++i) {
            HostileFunder.Mood mood;
            seed = uint256(keccak256(abi.encode(seed)));
            (funded[i], mood) = _bid(offer, _payer(seed), seed);
            _setCallback(terms, funded[i].order, seed);
            good[i] = !_fails(mood);
            excess += _excess(mood, funded[i].order.amount);
        }
        bytes memory data = abi.encodeCall(escrow.openBatchVia, (_funder, terms, funded, GAS_PER_ORDER));
        (bool success, bytes memory answer) = _send(_anyone(seed), data);

        bool foretold = ledger.canOpen(terms.modelId) && excess == 0;
        _expect(success, foretold, Guarantee.E8, "a funded batch failed as a whole, or opened what did not arrive");
        bool did = success && _book(offer, funded, good, abi.decode(answer, (bool[])));
        _requireGuarded();
        ledger.count("openBatchVia", did);
    }

    function _book(
        uint256 offer,
        FundedOrder[] memory funded,
        bool[] memory good,
        bool[] memory opened
    ) private returns (bool any) {
        Terms memory terms = world.offer(offer);
        for (uint256 i = 0; i < funded.length; ++i) {
            Order memory order = funded[i].order;
            _expect(opened[i], good[i], Guarantee.E8, "a funded order of a batch was held up, or opened unpaid");
            any = any || opened[i];
            if (opened[i]) ledger.open(offer, order, world.orderId(terms, order), address(_funder), false);
        }
    }

    /// @dev Three in four are honest.
    function _bid(
        uint256 offer,
        address payer,
        uint256 seed
    ) private returns (FundedOrder memory funded, HostileFunder.Mood mood) {
        if (seed % 4 == 0) mood = HostileFunder.Mood((seed >> 8) % 10);
        funded.order = _newOrder(offer, payer, seed);
        funded.data = abi.encodePacked(uint8(mood));
    }

    /// @dev A funder that calls back opens another order with the tokens that it is to deliver, or takes credits.
    function _setCallback(Terms memory terms, Order memory order, uint256 seed) private {
        bytes memory data = abi.encodeCall(escrow.openFunded, (terms, order));
        if (seed % 3 == 1) data = abi.encodeCall(escrow.claim, (address(_funder)));
        if (seed % 3 == 2) data = abi.encodeCall(escrow.reclaim, (terms, order));
        _funder.setCallback(data);
    }

    function _requireGuarded() private {
        if (_funder.callbackSucceeded()) ledger.blame(Guarantee.E5, "a funder called back into the escrow");
    }

    function _fails(HostileFunder.Mood mood) private pure returns (bool) {
        return
            mood == HostileFunder.Mood.Reverts ||
            mood == HostileFunder.Mood.RevertsAfterDelivery ||
            mood == HostileFunder.Mood.BurnsGas;
    }

    function _speaksTrue(HostileFunder.Mood mood) private pure returns (bool) {
        return _excess(mood, 1) == 0;
    }

    /// @dev What a funder delivers beyond the amount that it says it delivered.
    function _excess(HostileFunder.Mood mood, uint96 amount) private pure returns (int256) {
        if (mood == HostileFunder.Mood.DeliversMore) return 1;
        if (mood == HostileFunder.Mood.DeliversLess) return -1;
        return mood == HostileFunder.Mood.DeliversNothing ? -int256(uint256(amount)) : int256(0);
    }
}
