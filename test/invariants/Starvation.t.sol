// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {HostileWallet} from "../../contracts/dev/mocks/HostileWallet.sol";
import {FundedOrder} from "../../contracts/types/Funding.sol";
import {SettleRow, Settlement} from "../../contracts/types/Settlement.sol";
import {Allocation, SliceRow} from "../../contracts/types/Slice.sol";
import {Job, Order, SignedOrder, Terms} from "../../contracts/types/WorkOrder.sol";
import {HostileFunder} from "./support/HostileFunder.sol";
import {Reservation} from "./support/Ledger.sol";
import {Probes} from "./support/Probes.sol";
import {Signing} from "./support/Signing.sol";
import {SliceCalls} from "./support/SliceCalls.sol";
import {SliceTree} from "./support/SliceTree.sol";

/// @title Starvation
/// @notice A relayer gives a call every amount of gas there is, step by step from none to more than enough. Whatever it
/// gives, the call does all of its work or none (F5).
contract Starvation is Probes {
    uint256 private constant GAS_PER_ORDER = 120_000;
    uint256 private constant STEP = 1_000;

    Terms private _terms;
    SignedOrder[] private _signed;
    bytes private _sliceData;
    bytes32 private _allocationId;

    function setUp() public override {
        super.setUp();
        _terms = world.offer(0);
        for (uint256 i = 0; i < 3; ++i) {
            address payer = i == 2 ? world.thrifty() : world.payers(2 * i);
            uint40 claimBy = uint40(block.timestamp + 1 days);
            Order memory order = Order(payer, i, 1_000, Job(payer, 0), claimBy);
            _signed.push(world.signOrder(payer, _terms, order, claimBy));
        }
    }

    /// @notice Between two good orders, one of them a dear wallet's, stands a wallet that burns what it gets.
    function test_starvedBatchOpensAllGoodOrdersOrNone() external {
        HostileWallet(world.payers(2)).setMood(HostileWallet.Mood.BurnsGas);
        bytes memory data = abi.encodeCall(escrow.openBatch, (_terms, _signed, GAS_PER_ORDER));
        _starve(data, 700_000, this.requireBothOpen);
    }

    function requireBothOpen() external view {
        assertTrue(_isKnown(0) && _isKnown(2), "F5: a good order was starved");
        assertFalse(_isKnown(1), "a wallet that burned its gas opened");
    }

    /// @notice The same of a funder that burns what it gets for one order.
    function test_starvedFundedBatchOpensAllGoodOrdersOrNone() external {
        FundedOrder[] memory funded = new FundedOrder[](3);
        for (uint256 i = 0; i < 3; ++i) {
            HostileFunder.Mood mood = i == 1 ? HostileFunder.Mood.BurnsGas : HostileFunder.Mood.Thrifty;
            funded[i] = FundedOrder(_signed[i].order, abi.encodePacked(uint8(mood)));
        }
        bytes memory data = abi.encodeCall(escrow.openBatchVia, (world.funder(), _terms, funded, GAS_PER_ORDER));
        _starve(data, 700_000, this.requireBothOpen);
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

    /// @notice Of two slices each is settled and its node paid, or it can be settled later. (A judge that was given too
    /// little is taken to refuse; that is not final.)
    function test_starvedSlicesArePaidOrUntouched() external {
        _terms = world.offer(world.ROUTED());
        Order memory order = _signed[0].order;
        vm.prank(world.sponsor());
        escrow.openFunded(_terms, order);
        Reservation memory r = _reserve(order);
        SliceRow[] memory rows = new SliceRow[](2);
        for (uint8 i = 0; i < 2; ++i) {
            rows[i] = SliceRow(i, r.nodes[i], 0, 400, 0, 1, "");
            rows[i].evidence = SliceCalls.evidence(world, r.nodes[i], r.id, rows[i]);
        }
        _sliceData = SliceCalls.settleData(_terms, order, r, rows);
        _allocationId = r.id;
        _starve(_sliceData, 300_000, this.requireSlicesWhole);
    }

    function requireSlicesWhole() external {
        (, uint256 unsettled) = escrow.unsettledSlices(_allocationId);
        for (uint256 i = 0; i < 2; ++i) {
            // Of 400 the network has 8, the model's owner 20, the facilitator 10.
            uint256 due = (unsettled >> i) & 1 == 0 ? 362 : 0;
            assertEq(token.balanceOf(world.nodes(i)), due, "F5: a slice was settled and not paid, or paid unsettled");
        }
        (bool success, ) = address(escrow).call(_sliceData);
        assertTrue(success, "F5: starved slices cannot be settled any more");
        for (uint256 i = 0; i < 2; ++i) assertEq(token.balanceOf(world.nodes(i)), 362, "F5: a starved slice is lost");
    }

    function _reserve(Order memory order) private returns (Reservation memory r) {
        r.nodes = new address[](2);
        r.keys = new bytes32[](2);
        (r.nodes[0], r.nodes[1]) = (world.nodes(0), world.nodes(1));
        bytes32 left = SliceTree.leaf(r.nodes[0], 0);
        r.allocation = Allocation(keccak256(abi.encode(left, SliceTree.leaf(r.nodes[1], 0))), 2, 500, 0);
        r.id = Signing.allocationId(world.orderId(_terms, order), r.allocation);
        vm.prank(_terms.facilitator);
        escrow.allocate(_terms, order, r.allocation, "");
    }

    function _requireRefunded(uint256 refund) private view {
        address payer = _signed[0].order.payer;
        assertEq(escrow.credits(payer), 0, "F5: a refund that could be paid became a credit");
        assertEq(token.balanceOf(payer), ledger.balance(payer) - 1_000 + refund, "F5: a refund was not paid");
    }

    /// @dev Calls with every limit up to `enough`, which must be enough, and takes it back each time.
    function _starve(bytes memory data, uint256 enough, function() external requireDone) private {
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
    function attempt(bytes calldata data, uint256 gasLimit, function() external requireDone) external {
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
