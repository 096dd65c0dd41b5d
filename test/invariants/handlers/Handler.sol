// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {CommonBase} from "forge-std/Base.sol";

import {HostileWallet} from "../../../contracts/dev/mocks/HostileWallet.sol";
import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {SettleRow, Settlement} from "../../../contracts/types/Settlement.sol";
import {Job, Order, SignedOrder, Terms} from "../../../contracts/types/WorkOrder.sol";
import {Guarantee} from "../support/Guarantee.sol";
import {Entry, Ledger, Step} from "../support/Ledger.sol";
import {MoodyOPG} from "../support/MoodyOPG.sol";
import {World} from "../support/World.sol";

/// @title Handler
/// @notice What moves have in common. A move foretells from the ledger what the escrow must do, does it, and blames a
/// guarantee where the escrow did something else; so no move ever reverts.
abstract contract Handler is CommonBase {
    /// @dev Enough for everything that is sent, and little enough that whoever burns it burns it soon.
    uint256 internal constant GAS = 1_500_000;
    uint256 internal constant MAX_WINDOW = 90 days;

    World internal immutable world;
    Ledger internal immutable ledger;
    IInferenceEscrow internal immutable escrow;
    MoodyOPG internal immutable token;

    constructor(World world_, Ledger ledger_) {
        world = world_;
        ledger = ledger_;
        escrow = world_.escrow();
        token = world_.token();
    }

    /// @dev Sets the clock.
    modifier move() {
        vm.warp(ledger.clock());
        _;
    }

    // ---- sending ----

    function _send(address from, bytes memory data) internal returns (bool success, bytes memory answer) {
        return _sendWith(GAS, from, data);
    }

    function _sendWith(
        uint256 gasLimit,
        address from,
        bytes memory data
    ) internal returns (bool success, bytes memory answer) {
        vm.prank(from);
        (success, answer) = address(escrow).call{gas: gasLimit}(data);
    }

    /// @dev Blames `guarantee` unless what happened was foretold.
    function _expect(bool happened, bool foretold, Guarantee guarantee, string memory otherwise) internal {
        if (happened != foretold) ledger.blame(guarantee, otherwise);
    }

    /// @dev What every call that pays out answers.
    function _amountIn(bool success, bytes memory answer) internal pure returns (uint256) {
        return success ? abi.decode(answer, (uint256)) : 0;
    }

    // ---- choosing ----

    function _anyone(uint256 seed) internal view returns (address) {
        return world.accounts(seed % world.accountCount());
    }

    /// @dev Mostly somebody who is owed something.
    function _payee(uint256 seed) internal view returns (address account) {
        account = _anyone(seed >> 8);
        for (uint256 i = 0; seed % 4 != 0 && i < 15 && ledger.credit(account) == 0; ++i)
            account = _anyone((seed >> 8) + i);
    }

    function _payer(uint256 seed) internal view returns (address) {
        return world.payers(seed % world.PAYERS());
    }

    function _keyPayer(uint256 seed) internal view returns (address) {
        return world.payers(seed % world.KEY_PAYERS());
    }

    /// @dev Mostly what orders are made of, some so small that shares round, some at the edges.
    function _amount(uint256 seed) internal pure returns (uint96) {
        uint256 kind = seed % 8;
        seed /= 8;
        if (kind == 0) return 1;
        if (kind == 1) return type(uint96).max;
        if (kind < 4) return uint96(1 + (seed % 30_000));
        return uint96(1 + (seed % 1e24));
    }

    /// @dev From the next second on to the last that is allowed, and the two edges more often than by chance.
    function _claimBy(uint256 seed) internal view returns (uint40) {
        uint256 kind = seed % 8;
        seed /= 8;
        if (kind == 0) return uint40(block.timestamp + 1);
        if (kind == 1) return uint40(block.timestamp + MAX_WINDOW);
        return uint40(block.timestamp + 1 + (seed % MAX_WINDOW));
    }

    /// @dev A new order that can be opened if its payer pays. One in four direct orders is for a single request.
    function _newOrder(uint256 offer, address payer, uint256 seed) internal returns (Order memory) {
        bool single = (seed >> 8) % 4 == 0 && offer < world.DIRECT_OFFERS();
        bytes32 requestHash = single ? keccak256(abi.encode(seed)) : bytes32(0);
        uint96 amount = _amount(seed >> 16);
        uint40 claimBy = _claimBy(seed >> 128);
        return Order(payer, ledger.takeNonce(), amount, Job(payer, requestHash), claimBy);
    }

    function _sign(Terms memory terms, Order memory order) internal view returns (SignedOrder memory) {
        return world.signOrder(order.payer, terms, order, order.claimBy);
    }

    /// @dev A payer comes to his senses: has tokens, approves Permit2, signs. Seven times in eight, so that most is done
    /// by orders that can open.
    function _restore(address payer, uint256 seed) internal {
        if (seed % 8 == 0) return;
        if (payer.code.length != 0) HostileWallet(payer).setMood(HostileWallet.Mood.Signs);
        address permit2 = address(world.permit2());
        if (token.allowance(payer, permit2) == 0) {
            vm.prank(payer);
            token.approve(permit2, type(uint256).max);
        }
        if (token.balanceOf(payer) < 2 ** 100) {
            token.mint(payer, 2 ** 101);
            ledger.mint(payer, 2 ** 101);
        }
    }

    // ---- settling ----

    function _settlementOf(Terms memory terms, SettleRow memory row) internal view returns (Settlement memory) {
        bytes32 id = world.orderId(terms, row.order);
        return Settlement(id, row.cumulativeFee, row.receiptsRoot, row.receiptCount, row.close);
    }

    function _evidence(
        address signer,
        Terms memory terms,
        SettleRow[] memory rows
    ) internal view returns (bytes memory) {
        Settlement[] memory settlements = new Settlement[](rows.length);
        for (uint256 i = 0; i < rows.length; ++i) settlements[i] = _settlementOf(terms, rows[i]);
        return world.signBatch(signer, terms, settlements);
    }

    /// @dev A row for one of the offer's orders: a part of it, all, more than it holds, or what was released already.
    function _row(uint256 offer, uint256 seed) internal returns (SettleRow memory row, Step memory step) {
        uint256 known = ledger.countOf(offer);
        step.close = (seed >> 8) % 3 == 0;
        step.receiptCount = uint64((seed >> 16) % 3);
        if (known == 0 || (seed >> 24) % 16 == 0) {
            step.entry = ledger.NONE();
            row.order = _newOrder(offer, _payer(seed), seed);
            step.cumulativeFee = row.order.amount;
        } else {
            step.entry = _live(offer, known, seed >> 32);
            Entry memory entry = ledger.entry(step.entry);
            row.order = entry.order;
            if (entry.order.job.requestHash != 0 && (seed >> 64) % 4 != 0) {
                (step.close, step.receiptCount) = (true, 1);
            }
            step.cumulativeFee = _fee(entry, seed >> 72);
        }
        row.cumulativeFee = step.cumulativeFee;
        row.receiptsRoot = keccak256(abi.encode(seed));
        row.receiptCount = step.receiptCount;
        row.close = step.close;
    }

    /// @dev Whether one of the rows would count, had it good evidence.
    function _matters(Step[] memory steps) internal view returns (bool matters) {
        for (uint256 i = 0; i < steps.length; ++i) matters = matters || ledger.takes(steps[i]);
    }

    /// @dev Of some orders one that is open and over, else any. There must be one.
    function _overdue(uint256 seed) internal view returns (uint256 index) {
        uint256 count = ledger.entryCount();
        for (uint256 i = 0; i < 12; ++i) {
            index = ((seed >> 8) + i) % count;
            Entry memory entry = ledger.entry(index);
            if (entry.open && entry.order.claimBy <= block.timestamp) return index;
        }
    }

    /// @dev Of some orders of an offer one that still settles, seven times in eight; else any.
    function _live(uint256 offer, uint256 known, uint256 seed) internal view returns (uint256 index) {
        for (uint256 i = 0; i < 12; ++i) {
            index = ledger.entryOf(offer, ((seed >> 8) + i) % known);
            Entry memory entry = ledger.entry(index);
            if (seed % 8 == 0 || (entry.open && block.timestamp < entry.order.claimBy)) return index;
        }
    }

    function _fee(Entry memory entry, uint256 seed) private pure returns (uint96) {
        uint256 kind = seed % 16;
        seed /= 16;
        uint96 amount = entry.order.amount;
        if (kind == 0) return amount;
        if (kind == 1) return entry.released;
        if (kind == 2) return entry.released == 0 ? 0 : entry.released - 1;
        if (kind == 3) return amount == type(uint96).max ? amount : amount + 1;
        return uint96(entry.released + (seed % (uint256(amount) - entry.released + 1)));
    }
}
