// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {OrderHash} from "../libraries/OrderHash.sol";
import {OrderState} from "../libraries/OrderState.sol";
import {RoutedState} from "../libraries/RoutedState.sol";
import {Order, Terms} from "../types/WorkOrder.sol";
import {Payouts} from "./Payouts.sol";

/// @title OrderBook
/// @notice The part of `InferenceEscrow` that keeps orders, and ends them without evidence.
abstract contract OrderBook is Payouts, EIP712 {
    /// @dev One slot each. A struct, so that a slot is looked up once and then read and written.
    struct OrderSlot {
        OrderState state;
    }

    /// @inheritdoc IInferenceEscrow
    uint256 public immutable deploymentChainId = block.chainid;

    bytes32 internal immutable _SEED = OrderHash.seed(block.chainid, address(this));

    mapping(bytes32 orderId => OrderSlot) internal _orders;
    /// @dev Of routed orders that had an allocation.
    mapping(bytes32 orderId => RoutedState) internal _routed;

    /// @inheritdoc IInferenceEscrow
    function release(Terms calldata terms, Order calldata order) external nonReentrant returns (uint96 refund) {
        bytes32 id = _orderId(terms, order);
        if (terms.node != address(0)) {
            require(msg.sender == terms.node, NotNode(terms.node, msg.sender));
        } else {
            require(msg.sender == terms.facilitator, NotFacilitator(terms.facilitator, msg.sender));
            uint96 reserved = _routed[id].reserved();
            require(reserved == 0, SlicesReserved(id, reserved)); // they are other nodes' money (E2)
        }

        refund = _close(id, terms);
        emit OrderReleased(id, refund);

        _transferOrCredit(id, order.payer, refund);
    }

    /// @inheritdoc IInferenceEscrow
    function reclaim(Terms calldata terms, Order calldata order) external nonReentrant returns (uint96 refund) {
        bytes32 id = _orderId(terms, order);
        require(block.timestamp >= order.claimBy, OrderNotExpired(id, order.claimBy, block.timestamp));

        refund = _close(id, terms);
        emit OrderReclaimed(id, refund);

        _transferOrCredit(id, order.payer, refund); // to the payer, whoever calls (E6)
    }

    /// @inheritdoc IInferenceEscrow
    function orderId(Terms calldata terms, Order calldata order) external view returns (bytes32) {
        return _orderId(terms, order);
    }

    /// @inheritdoc IInferenceEscrow
    function orders(bytes32 orderId_) external view returns (OrderView memory) {
        OrderState state = _orders[orderId_].state;
        RoutedState routed = _routed[orderId_];
        return
            OrderView({
                amount: state.amount(),
                released: state.isClosed() ? state.released() : state.released() + routed.released(),
                reserved: routed.reserved(),
                networkBps: state.networkBps(),
                royaltyBps: state.royaltyBps(),
                openedAt: state.openedAt(),
                closed: state.isClosed()
            });
    }

    /// @inheritdoc IInferenceEscrow
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _orderId(Terms calldata terms, Order calldata order) internal view returns (bytes32 id) {
        (id, ) = OrderHash.order(_SEED, OrderHash.terms(terms), order);
    }

    /// @dev Ends an order. Slices that were not settled in time go the way of the rest.
    function _close(bytes32 id, Terms calldata terms) private returns (uint96 refund) {
        OrderState state = _orders[id].state;
        _requireOpen(id, state); // so it pays once (E5)
        if (terms.node == address(0)) state = state.release(_routed[id].released());
        (_orders[id].state, refund) = state.close();
    }

    function _requireOpen(bytes32 id, OrderState state) internal pure {
        require(state.isKnown(), OrderUnknown(id));
        require(!state.isClosed(), OrderClosed(id));
    }
}
