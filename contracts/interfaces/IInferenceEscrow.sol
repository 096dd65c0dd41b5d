// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {FundedOrder} from "../types/Funding.sol";
import {SettleRow, Settlement} from "../types/Settlement.sol";
import {Allocation, SliceRow} from "../types/Slice.sol";
import {Order, SignedOrder, Terms} from "../types/WorkOrder.sol";
import {IOrderFunder} from "./IOrderFunder.sol";

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
        /// @dev What slices hold that are not settled; zero for a direct order, meaningless once closed.
        uint96 reserved;
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
        NotSingle,
        /// A slice's node is zero or this escrow.
        NotPayable,
        /// A slice's key is not the one that the payer pinned in the order's terms.
        WrongKey,
        /// The verifier refused a slice's evidence, or had too little gas to judge it.
        Refused
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
        bytes32 receiptsRoot,
        uint64 receiptCount,
        uint96 refund
    );
    /// @notice A routed order's facilitator reserved `count` slices of `cap` each. Their ids follow from the allocation's:
    /// `keccak256(abi.encode(allocationId, index))`.
    event SlicesAllocated(
        bytes32 indexed orderId,
        bytes32 indexed allocationId,
        bytes32 root,
        uint8 count,
        uint96 cap,
        uint64 series
    );
    /// @notice A slice was settled, once and for all. `nodeFee` of its `fee` was paid to the node; what the cap held
    /// beyond the fee is free again in the order.
    event SliceSettled(
        bytes32 indexed orderId,
        bytes32 indexed sliceId,
        address indexed node,
        uint96 fee,
        uint256 nodeFee,
        bytes32 receiptsRoot,
        uint64 receiptCount
    );
    /// @notice What one settling call credited to the node, and to the network with it, over all its rows. Of slices,
    /// `node` and `nodeFee` are zero: each `SliceSettled` says what its node got, and the network's share is collected.
    event FeesCredited(address indexed node, uint256 nodeFee, uint256 networkFee);
    /// @notice What the same call credited to facilitator and model owner, where they have shares.
    event SharesCredited(address indexed facilitator, bytes32 indexed modelId, uint256 facilitatorFee, uint256 royalty);
    /// @notice A row was passed over; nothing of it was credited.
    event RowSkipped(bytes32 indexed orderId, SkipReason reason);
    /// @notice The node gave the rest back without evidence.
    event OrderReleased(bytes32 indexed orderId, uint96 refund);
    /// @notice The order expired and the rest went back.
    event OrderReclaimed(bytes32 indexed orderId, uint96 refund);
    /// @notice The token refused to transfer a refund, or a slice's fee: it is the account's credit now (F14).
    /// @param id of the order or slice
    event TransferCredited(bytes32 indexed id, address indexed account, uint256 amount);
    /// @notice `account`'s credit was paid out, and `networkAmount` that the network had earned through it collected.
    event Claimed(address indexed account, address indexed to, uint256 amount, uint256 networkAmount);
    /// @notice What the network had earned through `node` was collected.
    event NetworkCollected(address indexed node, uint256 amount);
    /// @notice The network's share of orders that open from now on, as the fee policy asks for it.
    event NetworkBpsSynced(uint16 networkBps);
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
    /// @notice An order without a node, whose facilitator routes it, cannot be for one request (F3).
    error RoutedOrderPinned(bytes32 orderId, bytes32 requestHash);
    /// @notice Permit2, the funder or the token refused to pay.
    error PullFailed(bytes32 orderId);
    /// @notice The node is this escrow; or it is zero, where there is no facilitator either, or in a call that is not
    /// for routed orders.
    error NodeInvalid(address node);
    /// @notice The verifier has no code.
    error VerifierWithoutCode(address verifier);
    /// @notice The facilitator's share is over its cap, or the facilitator, zero or this escrow, cannot receive it.
    error FacilitatorBpsInvalid(address facilitator, uint16 facilitatorBps, uint16 maximum);
    /// @notice The fee policy asks for more than the cap of this contract (F2).
    error NetworkBpsTooHigh(uint16 networkBps, uint16 maximum);
    /// @notice The model registry asks for more than the cap of this contract (F2).
    error RoyaltyBpsTooHigh(bytes32 modelId, uint16 royaltyBps, uint16 maximum);
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
    /// @notice Only the facilitator of a routed order may do this, or who has its signature.
    error NotFacilitator(address facilitator, address caller);
    /// @notice The order names a node, so it has no slices.
    error OrderNotRouted(address node);
    /// @notice Slices hold money of the order: it cannot be closed before `claimBy`.
    error SlicesReserved(bytes32 orderId, uint96 reserved);
    /// @notice There is nothing to allocate.
    error AllocationEmpty(bytes32 allocationId, uint8 count, uint96 cap);
    /// @notice The slices do not fit in what the order has free.
    error AllocationTooLarge(bytes32 orderId, uint256 sum, uint256 free);
    /// @notice The rows are not slices of the allocation in order, or the proof does not lead from them to its root.
    error SliceProofInvalid(bytes32 allocationId);
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

    /// @notice Opens an order with what `funder` delivers. Anyone; it is trusted for nothing but the tokens that arrive.
    function openVia(
        IOrderFunder funder,
        Terms calldata terms,
        FundedOrder calldata funded
    ) external returns (bool opened);

    /// @notice `openVia` for orders of one `Terms`, as `openBatch` (E8). Reverts with `AmountMismatch` where the funder
    /// says that it delivered what did not arrive.
    /// @param gasPerOrder gas that the funder gets for each order, exactly (F5)
    function openBatchVia(
        IOrderFunder funder,
        Terms calldata terms,
        FundedOrder[] calldata funded,
        uint256 gasPerOrder
    ) external returns (bool[] memory opened);

    /// @notice Approves Permit2 for `owner` by its EIP-2612 signature. Never reverts: somebody else may have used the
    /// signature first, and `multicall([tryPermit, open])` then opens all the same.
    /// @return permitted whether the token took it
    function tryPermit(
        address owner,
        uint256 value,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (bool permitted);

    /// @notice Takes over the share that the fee policy asks for now, for orders that open from now on. Anyone. Opening
    /// does not ask the policy itself, which therefore can neither stop it nor make it dear.
    function syncNetworkBps() external returns (uint16 networkBps_);

    /// @notice Reserves slices of a routed order for nodes, by its facilitator or with its signature (EIP-712, or
    /// ERC-1271). Until `claimBy` a slice holds its cap for its node (E2). An allocation that is known changes nothing
    /// and returns false (E5).
    /// @param signature not read where the facilitator calls
    function allocate(
        Terms calldata terms,
        Order calldata order,
        Allocation calldata allocation,
        bytes calldata signature
    ) external returns (bool allocated);

    /// @notice Settles slices of one allocation, each by its own evidence and once, and pays their nodes at once. Anyone.
    /// @dev A slice that cannot be settled, its evidence included, is skipped with `RowSkipped` (E8). Rows that are not
    /// of the allocation are the caller's own mistake, and revert with `SliceProofInvalid`.
    /// @param rows in order of their indexes
    /// @param proof what leads from the rows' leaves to the root (see `SliceHash`); for all slices nothing but the zeros
    /// of places without one
    /// @param gasPerSlice the most that the verifier may spend on a slice: one node's wallet cannot use up the others'
    /// @return settled number of slices that were settled
    function settleSlices(
        Terms calldata terms,
        Order calldata order,
        Allocation calldata allocation,
        SliceRow[] calldata rows,
        bytes32[] calldata proof,
        uint256 gasPerSlice
    ) external returns (uint256 settled);

    /// @notice Credits what evidence proves, for rows of one `Terms` under one piece of evidence.
    /// @dev Rows that cannot be settled are skipped with `RowSkipped`; bad evidence reverts with `EvidenceRefused`.
    /// @return settled number of rows that were settled
    function settle(
        Terms calldata terms,
        SettleRow[] calldata rows,
        bytes calldata evidence
    ) external returns (uint256 settled);

    /// @notice `settle`, then `claim` for the node: cheaper than the two in a `multicall`.
    function settleWithClaim(
        Terms calldata terms,
        SettleRow[] calldata rows,
        bytes calldata evidence
    ) external returns (uint256 settled);

    /// @notice Closes an order without evidence, all to the payer's good. Only its node; of a routed order, only its
    /// facilitator, and only while no slice is reserved.
    function release(Terms calldata terms, Order calldata order) external returns (uint96 refund);

    /// @notice Returns the rest to the payer, from `claimBy` on. Anyone (E6).
    function reclaim(Terms calldata terms, Order calldata order) external returns (uint96 refund);

    /// @notice Pays `account`'s credit to it, and collects what the network has earned through it. Anyone; nothing
    /// happens on a credit of zero.
    function claim(address account) external returns (uint256 amount);

    /// @notice Pays the caller's credit to `to`.
    function claimTo(address to) external returns (uint256 amount);

    /// @notice Pays a model's royalties to `to`: by anyone to its present owner, by the owner to anywhere.
    function claimRoyalty(bytes32 modelId, address to) external returns (uint256 amount);

    /// @notice Collects what the network has earned through `nodes` and they have not claimed yet. Anyone.
    function collectNetwork(address[] calldata nodes) external returns (uint256 amount);

    /// @notice Pays the network's collected credit to `to`: by anyone to its present recipient, by the recipient to anywhere.
    function claimNetwork(address to) external returns (uint256 amount);

    /// @notice The id that stands for an order in requests, receipts and settlements.
    function orderId(Terms calldata terms, Order calldata order) external view returns (bytes32);

    /// @notice The id of slices that are reserved together, and the struct hash that the facilitator signs.
    function allocationId(
        Terms calldata terms,
        Order calldata order,
        Allocation calldata allocation
    ) external view returns (bytes32);

    /// @notice Which slices of an allocation are not settled: bit `index` of the bitmap. They hold nothing any more once
    /// their order is closed.
    function unsettledSlices(bytes32 allocationId_) external view returns (bool known, uint256 bitmap);

    /// @notice The network's share of orders that open now, in basis points.
    function networkBps() external view returns (uint16);

    /// @notice State of an order.
    function orders(bytes32 orderId_) external view returns (OrderView memory);

    /// @notice What `account` can claim.
    function credits(address account) external view returns (uint256);

    /// @notice What the owner of `modelId` can claim.
    function royalties(bytes32 modelId) external view returns (uint256);

    /// @notice What the network's recipient can claim: what was collected.
    function networkCredit() external view returns (uint256);

    /// @notice What the network has earned through `node`, to be collected by `collectNetwork` or with the node's claim.
    function networkCreditWith(address node) external view returns (uint256);

    /// @notice EIP-712 digest that evidence is about.
    function settlementDigest(
        address node,
        bytes32 evidenceKey,
        Settlement[] calldata settlements
    ) external view returns (bytes32);

    /// @notice EIP-712 domain separator on the chain's present id.
    function domainSeparator() external view returns (bytes32);

    /// @notice The one token that the escrow holds: OPG.
    function TOKEN() external view returns (IERC20);

    /// @notice Chain id at deployment, part of every order id (F18).
    function deploymentChainId() external view returns (uint256);
}
