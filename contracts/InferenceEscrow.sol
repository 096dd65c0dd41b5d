// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {IPermit2} from "./interfaces/IPermit2.sol";

import {IFeePolicy} from "./interfaces/IFeePolicy.sol";
import {IInferenceEscrow} from "./interfaces/IInferenceEscrow.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {Evidence, Question, RowPointer} from "./libraries/Evidence.sol";
import {OrderHash} from "./libraries/OrderHash.sol";
import {OrderState, OrderStateLib} from "./libraries/OrderState.sol";
import {PermitCall, Pull} from "./libraries/Pull.sol";
import {Shares, SharesLib} from "./libraries/Shares.sol";
import {Order, SignedOrder, Terms} from "./types/WorkOrder.sol";
import {Payouts} from "./Payouts.sol";
import {SettleRow, Settlement} from "./types/Settlement.sol";

/// @title InferenceEscrow
/// @notice See `IInferenceEscrow`; the guarantees E1-E12 that comments cite are those of docs/SPEC.md.
contract InferenceEscrow is Payouts, EIP712, Multicall {
    using SafeERC20 for IERC20;
    using SharesLib for Shares;

    /// @notice How far away `claimBy` may be (F10).
    uint256 public constant MAX_CLAIM_WINDOW = 90 days;

    IPermit2 public immutable PERMIT2;

    /// @inheritdoc IInferenceEscrow
    uint256 public immutable deploymentChainId = block.chainid;

    bytes32 private immutable _SEED = OrderHash.seed(block.chainid, address(this));

    mapping(bytes32 orderId => OrderState) private _orders;

    constructor(
        IERC20 token,
        IPermit2 permit2,
        IFeePolicy feePolicy,
        IModelRegistry modelRegistry
    ) Payouts(token, feePolicy, modelRegistry) EIP712("InferenceEscrow", "1") {
        PERMIT2 = permit2;
    }

    // ---- opening ----

    /// @inheritdoc IInferenceEscrow
    function open(Terms calldata terms, SignedOrder calldata signed) external nonReentrant returns (bool opened) {
        (bytes32 id, bytes32 witness) = OrderHash.order(_SEED, OrderHash.terms(terms), signed.order);
        if (_orders[id].isKnown()) return false;
        OrderState fresh = _freshState(terms);
        bytes4 defect = _defect(signed.order);
        if (defect != 0) _revertFor(defect, id, signed.order);

        _record(id, terms.node, signed.order, fresh);

        uint256 balance = TOKEN.balanceOf(address(this));
        PermitCall pull = Pull.prepare(TOKEN);
        if (!pull.send(pull.fill(signed, witness), PERMIT2, gasleft())) Pull.bubble();
        _requireReceived(balance, signed.order.amount);
        return true;
    }

    /// @inheritdoc IInferenceEscrow
    function openBatch(
        Terms calldata terms,
        SignedOrder[] calldata signed,
        uint256 gasPerOrder
    ) external nonReentrant returns (bool[] memory opened) {
        OrderState fresh = _freshState(terms);
        bytes32 termsHash = OrderHash.terms(terms);
        opened = new bool[](signed.length);
        uint256 balance = TOKEN.balanceOf(address(this));
        uint256 sum;

        PermitCall pull = Pull.prepare(TOKEN); // last in memory: signatures go behind it
        for (uint256 i = 0; i < signed.length; ++i) {
            Order calldata order = signed[i].order;
            (bytes32 id, bytes32 witness) = OrderHash.order(_SEED, termsHash, order);
            if (_orders[id].isKnown()) continue;

            bytes4 reason = _defect(order);
            if (reason == 0) {
                uint256 size = pull.fill(signed[i], witness);
                Pull.requireGas(id, gasPerOrder);
                if (!pull.send(size, PERMIT2, gasPerOrder)) reason = PullFailed.selector;
            }
            if (reason != 0) {
                emit OpenFailed(id, reason);
                continue;
            }
            // Recorded after the pull, since a failed one must leave nothing. Nothing can slip in between: every other
            // entrance is guarded too.
            _record(id, terms.node, order, fresh);
            opened[i] = true;
            sum += order.amount;
        }
        _requireReceived(balance, sum);
    }

    /// @inheritdoc IInferenceEscrow
    function openFunded(Terms calldata terms, Order calldata order) external nonReentrant returns (bool opened) {
        bytes32 id = _orderId(terms, order);
        if (_orders[id].isKnown()) return false;
        OrderState fresh = _freshState(terms);
        bytes4 defect = _defect(order);
        if (defect != 0) _revertFor(defect, id, order);

        _record(id, terms.node, order, fresh);

        uint256 balance = TOKEN.balanceOf(address(this));
        TOKEN.safeTransferFrom(msg.sender, address(this), order.amount);
        _requireReceived(balance, order.amount);
        return true;
    }

    // ---- settling ----

    /// @inheritdoc IInferenceEscrow
    function settle(
        Terms calldata terms,
        SettleRow[] calldata rows,
        bytes calldata evidence
    ) external nonReentrant returns (uint256 settled) {
        return _settle(terms, rows, evidence, false);
    }

    /// @inheritdoc IInferenceEscrow
    function settleWithClaim(
        Terms calldata terms,
        SettleRow[] calldata rows,
        bytes calldata evidence
    ) external nonReentrant returns (uint256 settled) {
        return _settle(terms, rows, evidence, true);
    }

    /// @inheritdoc IInferenceEscrow
    function release(Terms calldata terms, Order calldata order) external nonReentrant returns (uint96 refund) {
        require(msg.sender == terms.node, NotNode(terms.node, msg.sender));
        bytes32 id = _orderId(terms, order);

        refund = _close(id);
        emit OrderReleased(id, refund);

        _refund(id, order.payer, refund);
    }

    /// @inheritdoc IInferenceEscrow
    function reclaim(Terms calldata terms, Order calldata order) external nonReentrant returns (uint96 refund) {
        bytes32 id = _orderId(terms, order);
        require(block.timestamp >= order.claimBy, OrderNotExpired(id, order.claimBy, block.timestamp));

        refund = _close(id);
        emit OrderReclaimed(id, refund);

        _refund(id, order.payer, refund); // to the payer, whoever calls (E6)
    }

    // ---- views ----

    /// @inheritdoc IInferenceEscrow
    function orderId(Terms calldata terms, Order calldata order) external view returns (bytes32) {
        return _orderId(terms, order);
    }

    /// @inheritdoc IInferenceEscrow
    function orders(bytes32 orderId_) external view returns (OrderView memory) {
        OrderState state = _orders[orderId_];
        return
            OrderView({
                amount: state.amount(),
                released: state.released(),
                networkBps: state.networkBps(),
                royaltyBps: state.royaltyBps(),
                openedAt: state.openedAt(),
                closed: state.isClosed()
            });
    }

    /// @inheritdoc IInferenceEscrow
    function settlementDigest(
        address node,
        bytes32 evidenceKey,
        Settlement[] calldata settlements
    ) external view returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](settlements.length);
        for (uint256 i = 0; i < settlements.length; ++i) {
            hashes[i] = OrderHash.settlement(settlements[i]);
        }
        return _hashTypedDataV4(OrderHash.settlementBatch(node, evidenceKey, hashes));
    }

    /// @inheritdoc IInferenceEscrow
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    // ---- opening, inside ----

    /// @dev Checks what orders of one `Terms` share, and reads the shares that they will keep (E9).
    function _freshState(Terms calldata terms) private view returns (OrderState) {
        require(terms.node != address(0) && terms.node != address(this), NodeInvalid(terms.node));
        require(terms.verifier.code.length != 0, VerifierWithoutCode(terms.verifier));
        require(
            terms.facilitatorBps <= SharesLib.MAX_FACILITATOR_BPS &&
                (terms.facilitatorBps == 0 || (terms.facilitator != address(0) && terms.facilitator != address(this))),
            FacilitatorBpsInvalid(terms.facilitator, terms.facilitatorBps, SharesLib.MAX_FACILITATOR_BPS)
        );
        uint16 networkBps = FEE_POLICY.networkBps();
        // No model has the id zero, so there is nothing to ask.
        uint16 royaltyBps = terms.modelId == 0 ? 0 : MODEL_REGISTRY.royaltyBps(terms.modelId);
        require(
            networkBps <= SharesLib.MAX_NETWORK_BPS && royaltyBps <= SharesLib.MAX_ROYALTY_BPS,
            SharesTooHigh(networkBps, royaltyBps)
        );
        return OrderStateLib.create(networkBps, royaltyBps, uint32(block.timestamp)); // 32 bits last until 2106
    }

    /// @dev Selector of the error that keeps an order from opening, or zero.
    function _defect(Order calldata order) private view returns (bytes4) {
        if (order.amount == 0) return AmountZero.selector;
        address payer = order.payer;
        if (payer == address(0) || payer == address(this)) return PayerInvalid.selector;
        uint256 claimBy = order.claimBy;
        if (claimBy <= block.timestamp) return OrderExpired.selector;
        if (claimBy > block.timestamp + MAX_CLAIM_WINDOW) return ClaimByTooFar.selector;
        return 0;
    }

    function _revertFor(bytes4 defect, bytes32 id, Order calldata order) private view {
        require(defect != AmountZero.selector, AmountZero(id));
        require(defect != PayerInvalid.selector, PayerInvalid(id, order.payer));
        require(defect != OrderExpired.selector, OrderExpired(id, order.claimBy, block.timestamp));
        revert ClaimByTooFar(id, order.claimBy, block.timestamp + MAX_CLAIM_WINDOW);
    }

    function _record(bytes32 id, address node, Order calldata order, OrderState fresh) private {
        _orders[id] = fresh.withAmount(order.amount);
        emit OrderOpened(id, order.payer, node, order.amount, order.claimBy);
    }

    /// @dev What arrived must be what was opened, or the escrow would owe more than it holds (E1).
    function _requireReceived(uint256 balanceBefore, uint256 expected) private view {
        uint256 received = TOKEN.balanceOf(address(this)) - balanceBefore;
        require(received == expected, AmountMismatch(expected, received));
    }

    function _orderId(Terms calldata terms, Order calldata order) private view returns (bytes32 id) {
        (id, ) = OrderHash.order(_SEED, OrderHash.terms(terms), order);
    }

    // ---- settling, inside ----

    function _settle(
        Terms calldata terms,
        SettleRow[] calldata rows,
        bytes calldata evidence,
        bool claim_
    ) private returns (uint256 settled) {
        Question question = Evidence.prepare(terms.node, terms.evidenceKey, rows.length, evidence);
        bytes32 digest = _read(terms, rows, question);
        require(question.accepted(terms.verifier, digest, evidence.length), EvidenceRefused(terms.verifier, digest));

        Shares memory shares;
        for (uint256 i = 0; i < rows.length; ++i) {
            if (_settleRow(question.rowAt(i), rows[i].order, terms.facilitatorBps, shares)) ++settled;
        }
        shares.divide(terms.facilitatorBps);
        _credit(terms, shares, claim_);
    }

    /// @dev Writes the rows into the question. @return digest that evidence is about
    function _read(
        Terms calldata terms,
        SettleRow[] calldata rows,
        Question question
    ) private view returns (bytes32 digest) {
        bytes32 termsHash = OrderHash.terms(terms);
        bytes32[] memory hashes = OrderHash.list(rows.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            (bytes32 id, ) = OrderHash.order(_SEED, termsHash, rows[i].order);
            hashes[i] = question.write(i, id, rows[i], _orders[id]).settlementHash();
        }
        digest = _hashTypedDataV4(OrderHash.settlementBatch(terms.node, terms.evidenceKey, hashes));
    }

    /// @dev Reads the order's state again: an earlier row of the batch may have changed it.
    function _settleRow(
        RowPointer row,
        Order calldata order,
        uint256 facilitatorBps,
        Shares memory shares
    ) private returns (bool) {
        bytes32 id = row.orderId();
        OrderState state = _orders[id];
        SkipReason reason = _skipReason(state, row, order.claimBy);
        if (reason != SkipReason.None) {
            emit RowSkipped(id, reason);
            return false;
        }
        shares.add(state, row.cumulativeFee(), facilitatorBps);
        state = state.release(row.cumulativeFee());
        uint96 refund = 0;
        if (row.close()) (state, refund) = state.close();
        _orders[id] = state;
        emit OrderSettled(id, row.cumulativeFee(), refund, row.receiptsRoot(), row.receiptCount());

        _refund(id, order.payer, refund);
        return true;
    }

    function _skipReason(OrderState state, RowPointer row, uint40 claimBy) private view returns (SkipReason) {
        if (!state.isKnown()) return SkipReason.Unknown;
        if (state.isClosed()) return SkipReason.Closed;
        if (block.timestamp >= claimBy) return SkipReason.Late;
        if (row.cumulativeFee() > state.amount()) return SkipReason.Overdrawn;
        if (row.cumulativeFee() < state.released()) return SkipReason.Stale;
        if (row.cumulativeFee() == state.released() && !row.close()) return SkipReason.Stale;
        if (row.requestHash() != 0 && !(row.close() && row.receiptCount() <= 1)) return SkipReason.NotSingle;
        return SkipReason.None;
    }

    function _close(bytes32 id) private returns (uint96 refund) {
        OrderState state = _orders[id];
        require(state.isKnown(), OrderUnknown(id));
        require(!state.isClosed(), OrderClosed(id)); // so it pays once (E5)
        (_orders[id], refund) = state.close();
    }
}
