// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {HostileWallet} from "../../contracts/dev/mocks/HostileWallet.sol";
import {SettleRow, Settlement} from "../../contracts/types/Settlement.sol";
import {Job, Order, SignedOrder, Terms} from "../../contracts/types/WorkOrder.sol";
import {Probes} from "./support/Probes.sol";

/// @title Starvation
/// @notice A relayer gives a call every amount of gas there is, step by step from none to more than enough. Whatever it
/// gives, the call does all of its work or none (F5).
contract Starvation is Probes {
    uint256 private constant GAS_PER_ORDER = 120_000;
    uint256 private constant STEP = 1_000;

    Terms private _terms;
    SignedOrder[] private _signed;

    function setUp() public override {
        super.setUp();
        _terms = world.offer(0);
        for (uint256 i = 0; i < 3; ++i) {
            address payer = world.payers([0, 2, 1][i]);
            uint40 claimBy = uint40(block.timestamp + 1 days);
            Order memory order = Order(payer, i, 1_000, Job(payer, 0), claimBy);
            _signed.push(world.signOrder(payer, _terms, order, claimBy));
        }
    }

    /// @notice Between two good orders stands a wallet that burns what it gets.
    function test_starvedBatchOpensAllGoodOrdersOrNone() external {
        HostileWallet(world.payers(2)).setMood(HostileWallet.Mood.BurnsGas);
        bytes memory data = abi.encodeCall(escrow.openBatch, (_terms, _signed, GAS_PER_ORDER));
        _starve(data, 700_000, this.requireBothOpen);
    }

    function requireBothOpen() external view {
        assertTrue(_isKnown(0) && _isKnown(2), "F5: a good order was starved");
        assertFalse(_isKnown(1), "a wallet that burned its gas opened");
    }

    function test_starvedOpenOpensOrNot() external {
        _starve(abi.encodeCall(escrow.open, (_terms, _signed[0])), 250_000, this.requireFirstOpen);
    }

    function requireFirstOpen() external view {
        assertTrue(_isKnown(0), "F5: an opening ended halfway");
    }

    /// @notice No gas makes a settlement pay a part, nor turns a refund that could be paid into a credit.
    function test_starvedSettlementSettlesOrNot() external {
        escrow.open(_terms, _signed[0]);
        SettleRow[] memory rows = new SettleRow[](1);
        rows[0] = SettleRow(_signed[0].order, 600, 0, 1, true);
        Settlement[] memory settlements = new Settlement[](1);
        settlements[0] = Settlement(_idOf(0), 600, 0, 1, true);
        bytes memory evidence = world.signBatch(_terms.node, _terms, settlements);
        bytes memory data = abi.encodeCall(escrow.settleWithClaim, (_terms, rows, evidence));
        _starve(data, 300_000, this.requireSettled);
    }

    function requireSettled() external view {
        // Of 600 the network has 12, the model's owner 30, the facilitator 6.
        assertEq(token.balanceOf(_terms.node), 552, "F5: the node was not paid");
        _requireRefunded(400);
    }

    function test_starvedReclaimReturnsOrNot() external {
        escrow.open(_terms, _signed[0]);
        vm.warp(block.timestamp + 1 days);
        _starve(abi.encodeCall(escrow.reclaim, (_terms, _signed[0].order)), 150_000, this.requireReclaimed);
    }

    function requireReclaimed() external view {
        _requireRefunded(1_000);
    }

    function _requireRefunded(uint256 refund) private view {
        address payer = _signed[0].order.payer;
        assertEq(escrow.credits(payer), 0, "F5: a refund that could be paid became a credit");
        assertEq(token.balanceOf(payer), ledger.balance(payer) - 1_000 + refund, "F5: a refund was not paid");
    }

    /// @dev Calls with every limit up to `enough`, which must be enough, and takes it back each time.
    function _starve(bytes memory data, uint256 enough, function() external view requireDone) private {
        uint256 successes = 0;
        uint256 failures = 0;
        uint256 time = block.timestamp;
        for (uint256 gasLimit = STEP; gasLimit <= enough; gasLimit += STEP) {
            try this.attempt(data, gasLimit, requireDone) {
                fail();
            } catch (bytes memory reason) {
                if (bytes4(reason) == Starved.selector) ++failures;
                else if (bytes4(reason) == Done.selector) ++successes;
                else assertEq(string(reason), "", "a starved call did a part of its work");
            }
            vm.warp(time);
        }
        assertGt(successes, 0, "enough gas was not enough");
        assertGt(failures, 5, "hardly any gas was too little");
    }

    error Starved();
    error Done();

    /// @notice Reverts whatever happens: with `Starved` where the call did, else as `requireDone` does, else with `Done`.
    function attempt(bytes calldata data, uint256 gasLimit, function() external view requireDone) external {
        (bool success, ) = address(escrow).call{gas: gasLimit}(data);
        if (!success) revert Starved();
        requireDone();
        revert Done();
    }

    function _idOf(uint256 index) private view returns (bytes32) {
        return world.orderId(_terms, _signed[index].order);
    }

    function _isKnown(uint256 index) private view returns (bool) {
        return escrow.orders(_idOf(index)).amount != 0;
    }
}
