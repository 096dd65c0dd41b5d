// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {IOrderFunder} from "../interfaces/IOrderFunder.sol";
import {IPermit2} from "../interfaces/IPermit2.sol";
import {OrderHash} from "../libraries/OrderHash.sol";
import {OrderState, OrderStateLib} from "../libraries/OrderState.sol";
import {GasFloor} from "../libraries/GasFloor.sol";
import {OwnBalance} from "../libraries/OwnBalance.sol";
import {PermitCall, Pull} from "../libraries/Pull.sol";
import {SharesLib} from "../libraries/Shares.sol";
import {FundedOrder} from "../types/Funding.sol";
import {Order, SignedOrder, Terms} from "../types/WorkOrder.sol";
import {OrderBook} from "./OrderBook.sol";

/// @title Opening
/// @notice The part of `InferenceEscrow` that locks money.
abstract contract Opening is OrderBook {
    using OwnBalance for IERC20;
    using SafeERC20 for IERC20;

    /// @notice How far away `claimBy` may be (F10).
    uint256 public constant MAX_CLAIM_WINDOW = 90 days;

    IPermit2 public immutable PERMIT2;

    /// @inheritdoc IInferenceEscrow
    uint16 public networkBps;

    constructor(IPermit2 permit2) {
        PERMIT2 = permit2;
        syncNetworkBps();
    }

    /// @inheritdoc IInferenceEscrow
    function open(Terms calldata terms, SignedOrder calldata signed) external nonReentrant returns (bool opened) {
        (bytes32 id, bytes32 witness) = OrderHash.order(_SEED, OrderHash.terms(terms), signed.order);
        if (_orders[id].state.isKnown()) return false;
        uint96 amount = _openOne(id, terms, signed.order);

        uint256 balance = TOKEN.ownBalance();
        PermitCall pull = Pull.prepare(TOKEN);
        if (!pull.send(pull.fill(signed, witness), PERMIT2, gasleft())) Pull.bubble();
        _requireReceived(balance, amount);
        return true;
    }

    /// @inheritdoc IInferenceEscrow
    function openBatch(
        Terms calldata terms,
        SignedOrder[] calldata signed,
        uint256 gasPerOrder
    ) external nonReentrant returns (bool[] memory opened) {
        address node = terms.node;
        OrderState fresh = _freshState(terms, node);
        bytes32 termsHash = OrderHash.terms(terms);
        opened = new bool[](signed.length);
        uint256 balance = TOKEN.ownBalance();
        uint256 sum;

        PermitCall pull = Pull.prepare(TOKEN); // last in memory: signatures go behind it
        for (uint256 i = 0; i < signed.length; ++i) {
            SignedOrder calldata one = signed[i];
            (bytes32 id, bytes32 witness) = OrderHash.order(_SEED, termsHash, one.order);
            if (_orders[id].state.isKnown()) continue;

            bytes4 reason = _defect(node, one.order);
            if (reason == 0) {
                uint256 size = pull.fill(one, witness);
                GasFloor.requireGas(id, gasPerOrder);
                if (!pull.send(size, PERMIT2, gasPerOrder)) reason = PullFailed.selector;
            }
            if (reason != 0) {
                emit OpenFailed(id, reason);
                continue;
            }
            // Recorded after the pull, since a failed one must leave nothing. Nothing can slip in between: every other
            // entrance is guarded too.
            sum += _record(id, node, one.order, fresh);
            opened[i] = true;
        }
        _requireReceived(balance, sum);
    }

    /// @inheritdoc IInferenceEscrow
    function openFunded(Terms calldata terms, Order calldata order) external nonReentrant returns (bool opened) {
        bytes32 id = _orderId(terms, order);
        if (_orders[id].state.isKnown()) return false;
        uint96 amount = _openOne(id, terms, order);

        uint256 balance = TOKEN.ownBalance();
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
        _requireReceived(balance, amount);
        return true;
    }

    /// @inheritdoc IInferenceEscrow
    function openVia(
        IOrderFunder funder,
        Terms calldata terms,
        FundedOrder calldata funded
    ) external nonReentrant returns (bool opened) {
        bytes32 id = _orderId(terms, funded.order);
        if (_orders[id].state.isKnown()) return false;
        uint96 amount = _openOne(id, terms, funded.order);

        uint256 balance = TOKEN.ownBalance();
        funder.fund(id, terms, funded.order, funded.data);
        _requireReceived(balance, amount);
        return true;
    }

    /// @inheritdoc IInferenceEscrow
    function openBatchVia(
        IOrderFunder funder,
        Terms calldata terms,
        FundedOrder[] calldata funded,
        uint256 gasPerOrder
    ) external nonReentrant returns (bool[] memory opened) {
        address node = terms.node;
        OrderState fresh = _freshState(terms, node);
        bytes32 termsHash = OrderHash.terms(terms);
        opened = new bool[](funded.length);
        uint256 balance = TOKEN.ownBalance();
        uint256 sum;
        for (uint256 i = 0; i < funded.length; ++i) {
            Order calldata order = funded[i].order;
            (bytes32 id, ) = OrderHash.order(_SEED, termsHash, order);
            if (_orders[id].state.isKnown()) continue;

            bytes4 reason = _defect(node, order);
            if (reason == 0) {
                bytes memory call_ = abi.encodeCall(IOrderFunder.fund, (id, terms, order, funded[i].data));
                GasFloor.requireGas(id, gasPerOrder);
                if (!_callWithoutAnswer(address(funder), call_, gasPerOrder)) reason = PullFailed.selector;
            }
            if (reason != 0) {
                emit OpenFailed(id, reason);
                continue;
            }
            sum += _record(id, node, order, fresh); // after the delivery, as in `openBatch`
            opened[i] = true;
        }
        // One funder serves the whole batch, so it is the whole that must add up.
        _requireReceived(balance, sum);
    }

    /// @inheritdoc IInferenceEscrow
    function tryPermit(
        address owner,
        uint256 value,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (bool permitted) {
        bytes memory call_ = abi.encodeCall(IERC20Permit.permit, (owner, address(PERMIT2), value, deadline, v, r, s));
        return _callWithoutAnswer(address(TOKEN), call_, gasleft());
    }

    /// @inheritdoc IInferenceEscrow
    function syncNetworkBps() public returns (uint16 networkBps_) {
        networkBps_ = FEE_POLICY.networkBps();
        require(networkBps_ <= SharesLib.MAX_NETWORK_BPS, NetworkBpsTooHigh(networkBps_, SharesLib.MAX_NETWORK_BPS));
        networkBps = networkBps_;
        emit NetworkBpsSynced(networkBps_);
    }

    /// @dev Checks and records an order before its tokens arrive: a failure of any kind takes it all back.
    function _openOne(bytes32 id, Terms calldata terms, Order calldata order) private returns (uint96 amount) {
        address node = terms.node;
        OrderState fresh = _freshState(terms, node);
        bytes4 defect = _defect(node, order);
        if (defect != 0) _revertFor(defect, id, order);
        return _record(id, node, order, fresh);
    }

    /// @dev Checks what orders of one `Terms` share, and reads the shares that they will keep (E9).
    function _freshState(Terms calldata terms, address node) private view returns (OrderState) {
        address verifier = terms.verifier;
        address facilitator = terms.facilitator;
        uint16 facilitatorBps = terms.facilitatorBps;
        bytes32 modelId = terms.modelId;
        // Without a node it is the facilitator who routes.
        require(node != address(this) && (node != address(0) || facilitator != address(0)), NodeInvalid(node));
        require(verifier.code.length != 0, VerifierWithoutCode(verifier));
        if (facilitatorBps != 0) {
            require(
                facilitatorBps <= SharesLib.MAX_FACILITATOR_BPS &&
                    facilitator != address(0) &&
                    facilitator != address(this),
                FacilitatorBpsInvalid(facilitator, facilitatorBps, SharesLib.MAX_FACILITATOR_BPS)
            );
        }
        // No model has the id zero, so there is nothing to ask.
        uint16 royaltyBps = 0;
        if (modelId != 0) {
            royaltyBps = MODEL_REGISTRY.royaltyBps(modelId);
            require(
                royaltyBps <= SharesLib.MAX_ROYALTY_BPS,
                RoyaltyBpsTooHigh(modelId, royaltyBps, SharesLib.MAX_ROYALTY_BPS)
            );
        }
        return OrderStateLib.create(networkBps, royaltyBps, uint32(block.timestamp)); // 32 bits last until 2106
    }

    /// @dev Selector of the error that keeps an order from opening, or zero.
    function _defect(address node, Order calldata order) private view returns (bytes4) {
        if (order.amount == 0) return AmountZero.selector;
        address payer = order.payer;
        if (payer == address(0) || payer == address(this)) return PayerInvalid.selector;
        uint256 claimBy = order.claimBy;
        if (claimBy <= block.timestamp) return OrderExpired.selector;
        if (claimBy > block.timestamp + MAX_CLAIM_WINDOW) return ClaimByTooFar.selector;
        // One request, paid for once: slices would sell it to many nodes (F3).
        if (node == address(0) && order.job.requestHash != 0) return RoutedOrderPinned.selector;
        return 0;
    }

    function _revertFor(bytes4 defect, bytes32 id, Order calldata order) private view {
        require(defect != AmountZero.selector, AmountZero(id));
        require(defect != PayerInvalid.selector, PayerInvalid(id, order.payer));
        require(defect != OrderExpired.selector, OrderExpired(id, order.claimBy, block.timestamp));
        require(defect != RoutedOrderPinned.selector, RoutedOrderPinned(id, order.job.requestHash));
        revert ClaimByTooFar(id, order.claimBy, block.timestamp + MAX_CLAIM_WINDOW);
    }

    function _record(bytes32 id, address node, Order calldata order, OrderState fresh) private returns (uint96 amount) {
        amount = order.amount;
        _orders[id].state = fresh.withAmount(amount);
        emit OrderOpened(id, order.payer, node, amount, order.claimBy);
    }

    /// @dev What arrived must be what was opened, or the escrow would owe more than it holds (E1).
    function _requireReceived(uint256 balanceBefore, uint256 expected) private view {
        uint256 received = TOKEN.ownBalance() - balanceBefore;
        require(received == expected, AmountMismatch(expected, received));
    }

    /// @dev Whether the call succeeded; what it says is not copied.
    function _callWithoutAnswer(address target, bytes memory data, uint256 gasLimit) private returns (bool success) {
        // Memory-safe: reads `data` only.
        assembly ("memory-safe") {
            success := call(gasLimit, target, 0, add(data, 0x20), mload(data), 0, 0)
        }
    }
}
