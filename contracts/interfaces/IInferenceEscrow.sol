// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Order, SignedOrder, Terms} from "../types/WorkOrder.sol";
import {SettleRow, Settlement} from "../types/Settlement.sol";

/// @title IInferenceEscrow
/// @notice Locks a payer's OPG under signed terms before compute, releases it by evidence after. No owner, no pause,
/// no upgrade, no payable call: no key moves, freezes or redirects money here (E10).
/// @dev Amounts are OPG base units. What the other payees get of an order together is rounded down and computed from its
/// cumulative fee, so splitting a settlement gains nothing; the node has the remainder.
interface IInferenceEscrow {
    /// @notice State of one order.
    struct OrderView {
        uint96 amount;
        /// @dev Fees released so far; meaningless once closed.
        uint96 released;
        uint16 networkBps;
        uint16 royaltyBps;
        /// @dev Unix seconds; zero if the order is unknown.
        uint32 openedAt;
        bool closed;
    }

    /// @notice Why `settle` passed over a row.
    enum SkipReason {
        None,
        /// No such order is open here: another escrow's, altered terms, or not opened yet.
        Unknown,
        /// Closed before: settled with `close`, released or reclaimed.
        Closed,
        /// `claimBy` has come; the rest belongs to the payer.
        Late,
        /// `cumulativeFee` is over the order's amount.
        Overdrawn,
        /// `cumulativeFee` is below what was released, or equal to it without `close` (F6).
        Stale,
        /// An order for one request takes one settlement, with `close` and at most one receipt.
        NotSingle
    }

    /// @notice `amount` was locked. The shares that fee policy and model registry ask at this moment hold for the order
    /// from now on (E9).
    event OrderOpened(
        bytes32 indexed orderId,
        address indexed payer,
        address indexed node,
        uint96 amount,
        uint40 claimBy
    );
    /// @notice An order of a batch was not opened. Advisory, never final: it may open later.
    /// @param reason selector of the error that `open` would have given; `PullFailed` where Permit2 or the token refused
    event OpenFailed(bytes32 indexed orderId, bytes4 reason);
    /// @notice Evidence settled an order up to `cumulativeFee`. It is closed, or has nothing left, if
    /// `cumulativeFee + refund` is its amount; `refund` went to the payer.
    event OrderSettled(
        bytes32 indexed orderId,
        uint96 cumulativeFee,
        uint96 refund,
        bytes32 receiptsRoot,
        uint64 receiptCount
    );
    /// @notice What one settling call credited, over all its rows. `claimed`, which is not zero in `settleWithClaim`
    /// only, was paid to the node at once: its fee, the facilitator's share if it is that too, and the credit it had.
    event FeesCredited(
        address indexed node,
        address indexed facilitator,
        bytes32 indexed modelId,
        uint256 nodeFee,
        uint256 facilitatorFee,
        uint256 royalty,
        uint256 networkFee,
        uint256 claimed
    );
    /// @notice A row was passed over; nothing of it was credited.
    event RowSkipped(bytes32 indexed orderId, SkipReason reason);
    /// @notice The node gave the rest back without evidence.
    event OrderReleased(bytes32 indexed orderId, uint96 refund);
    /// @notice The order expired and the rest went back.
    event OrderReclaimed(bytes32 indexed orderId, uint96 refund);
    /// @notice A refund could not be transferred and is the payer's credit now (F14).
    event RefundCredited(bytes32 indexed orderId, address indexed payer, uint96 refund);
    /// @notice `account`'s credit was paid out.
    event Claimed(address indexed account, address indexed to, uint256 amount);
    /// @notice A model's royalties were paid out.
    event RoyaltyClaimed(bytes32 indexed modelId, address indexed to, uint256 amount);
    /// @notice The network's credit was paid out.
    event NetworkClaimed(address indexed to, uint256 amount);

    /// @notice The amount is zero.
    error AmountZero(bytes32 orderId);
    /// @notice The payer is zero or this escrow.
    error PayerInvalid(bytes32 orderId, address payer);
    /// @notice `claimBy` is not in the future.
    error OrderExpired(bytes32 orderId, uint40 claimBy, uint256 timestamp);
    /// @notice `claimBy` is further away than 90 days (F10).
    error ClaimByTooFar(bytes32 orderId, uint40 claimBy, uint256 latest);
    /// @notice `claimBy` is still to come.
    error OrderNotExpired(bytes32 orderId, uint40 claimBy, uint256 timestamp);
    /// @notice Permit2 or the token refused to pay.
    error PullFailed(bytes32 orderId);
    /// @notice The node is zero or this escrow.
    error NodeInvalid(address node);
    /// @notice The verifier has no code.
    error VerifierWithoutCode(address verifier);
    /// @notice The facilitator's share is over its cap, or the facilitator, zero or this escrow, cannot receive it.
    error FacilitatorBpsInvalid(address facilitator, uint16 facilitatorBps, uint16 maximum);
    /// @notice The fee policy or the model registry asks for more than the caps of this contract (F2).
    error SharesTooHigh(uint256 networkBps, uint256 royaltyBps);
    /// @notice The gas left could not have given an order of the batch its `gasPerOrder` (F5).
    error GasTooLow(bytes32 orderId, uint256 needed, uint256 left);
    /// @notice The tokens that arrived are not those that were opened.
    error AmountMismatch(uint256 expected, uint256 received);
    /// @notice No such order was opened.
    error OrderUnknown(bytes32 orderId);
    /// @notice The order is closed.
    error OrderClosed(bytes32 orderId);
    /// @notice The verifier refused the evidence.
    error EvidenceRefused(address verifier, bytes32 digest);
    /// @notice Only the order's node may do this.
    error NotNode(address node, address caller);
    /// @notice Only the entitled account (zero: nobody, the model is unregistered) may send its credit elsewhere.
    error NotEntitled(address entitled, address caller);
    /// @notice The destination is zero or this escrow.
    error RecipientInvalid(address to);

    /// @notice Locks the order's amount from the payer through Permit2, under the payer's one signature.
    /// Anyone relays. An order that is open, or was, moves nothing and returns false (E5).
    function open(Terms calldata terms, SignedOrder calldata signed) external returns (bool opened);

    /// @notice Opens orders of one `Terms`. One that cannot be opened is reported by `OpenFailed` and skipped (E8).
    /// @param gasPerOrder gas that each order gets for its pull, exactly; the whole call reverts with `GasTooLow` where
    /// the gas left could not have given it (F5)
    function openBatch(
        Terms calldata terms,
        SignedOrder[] calldata signed,
        uint256 gasPerOrder
    ) external returns (bool[] memory opened);

    /// @notice Opens an order for its payer with the caller's own OPG (allowance to this escrow). Refunds go to the payer.
    function openFunded(Terms calldata terms, Order calldata order) external returns (bool opened);

    /// @notice Credits what evidence proves, for rows of one `Terms` under one piece of evidence.
    /// @dev Rows that cannot be settled are skipped with `RowSkipped`; bad evidence reverts with `EvidenceRefused`.
    /// @return settled number of rows that were settled
    function settle(
        Terms calldata terms,
        SettleRow[] calldata rows,
        bytes calldata evidence
    ) external returns (uint256 settled);

    /// @notice `settle` and `claim` for the node in one: cheaper than the two in a `multicall`.
    function settleWithClaim(
        Terms calldata terms,
        SettleRow[] calldata rows,
        bytes calldata evidence
    ) external returns (uint256 settled);

    /// @notice Closes an order without evidence, all to the payer's good. Only its node.
    function release(Terms calldata terms, Order calldata order) external returns (uint96 refund);

    /// @notice Returns the rest to the payer, from `claimBy` on. Anyone (E6).
    function reclaim(Terms calldata terms, Order calldata order) external returns (uint96 refund);

    /// @notice Pays `account`'s credit to it. Anyone; nothing happens on a credit of zero.
    function claim(address account) external returns (uint256 amount);

    /// @notice Pays the caller's credit to `to`.
    function claimTo(address to) external returns (uint256 amount);

    /// @notice Pays a model's royalties to `to`: by anyone to its present owner, by the owner to anywhere.
    function claimRoyalty(bytes32 modelId, address to) external returns (uint256 amount);

    /// @notice Pays the network's credit to `to`: by anyone to its present recipient, by the recipient to anywhere.
    function claimNetwork(address to) external returns (uint256 amount);

    /// @notice The id that stands for an order in requests, receipts and settlements.
    function orderId(Terms calldata terms, Order calldata order) external view returns (bytes32);

    /// @notice State of an order.
    function orders(bytes32 orderId_) external view returns (OrderView memory);

    /// @notice What `account` can claim.
    function credits(address account) external view returns (uint256);

    /// @notice What the owner of `modelId` can claim.
    function royalties(bytes32 modelId) external view returns (uint256);

    /// @notice What the network's recipient can claim.
    function networkCredit() external view returns (uint256);

    /// @notice EIP-712 digest that evidence is about.
    function settlementDigest(
        address node,
        bytes32 evidenceKey,
        Settlement[] calldata settlements
    ) external view returns (bytes32);

    /// @notice EIP-712 domain separator on the chain's present id.
    function domainSeparator() external view returns (bytes32);

    /// @notice Chain id at deployment, part of every order id (F18).
    function deploymentChainId() external view returns (uint256);
}
