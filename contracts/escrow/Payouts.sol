// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IFeePolicy} from "../interfaces/IFeePolicy.sol";
import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {Credits} from "../libraries/Credits.sol";
import {Shares} from "../libraries/Shares.sol";
import {Terms} from "../types/WorkOrder.sol";

/// @title Payouts
/// @notice The part of `InferenceEscrow` that owes: credits of addresses, models and the network, and their claims.
abstract contract Payouts is IInferenceEscrow, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using Credits for Credits.Bucket;

    /// @inheritdoc IInferenceEscrow
    IERC20 public immutable TOKEN;
    IFeePolicy public immutable FEE_POLICY;
    IModelRegistry public immutable MODEL_REGISTRY;

    mapping(address account => Credits.Bucket) private _credits;
    mapping(bytes32 modelId => Credits.Bucket) private _royalties;
    Credits.Bucket private _networkCredit;

    constructor(IERC20 token, IFeePolicy feePolicy, IModelRegistry modelRegistry) {
        TOKEN = token;
        FEE_POLICY = feePolicy;
        MODEL_REGISTRY = modelRegistry;
    }

    /// @inheritdoc IInferenceEscrow
    function claim(address account) external nonReentrant returns (uint256) {
        return _payOut(account, account);
    }

    /// @inheritdoc IInferenceEscrow
    function claimTo(address to) external nonReentrant returns (uint256) {
        return _payOut(msg.sender, to);
    }

    /// @inheritdoc IInferenceEscrow
    function claimRoyalty(bytes32 modelId, address to) external nonReentrant returns (uint256 amount) {
        _requireEntitled(MODEL_REGISTRY.ownerOf(modelId), to);
        (amount, ) = _royalties[modelId].empty();
        if (amount == 0) return 0;
        emit RoyaltyClaimed(modelId, to, amount);

        TOKEN.safeTransfer(to, amount);
    }

    /// @inheritdoc IInferenceEscrow
    function claimNetwork(address to) external nonReentrant returns (uint256 amount) {
        _requireEntitled(FEE_POLICY.networkRecipient(), to);
        (amount, ) = _networkCredit.empty();
        if (amount == 0) return 0;
        emit NetworkClaimed(to, amount);

        TOKEN.safeTransfer(to, amount);
    }

    /// @inheritdoc IInferenceEscrow
    function collectNetwork(address[] calldata nodes) external nonReentrant returns (uint256 amount) {
        for (uint256 i = 0; i < nodes.length; ++i) {
            uint256 collected = _credits[nodes[i]].emptyNetwork();
            if (collected == 0) continue;
            amount += collected;
            emit NetworkCollected(nodes[i], collected);
        }
        _networkCredit.add(amount, 0);
    }

    /// @inheritdoc IInferenceEscrow
    function credits(address account) external view returns (uint256) {
        return _credits[account].value();
    }

    /// @inheritdoc IInferenceEscrow
    function royalties(bytes32 modelId) external view returns (uint256) {
        return _royalties[modelId].value();
    }

    /// @inheritdoc IInferenceEscrow
    function networkCredit() external view returns (uint256) {
        return _networkCredit.value();
    }

    /// @inheritdoc IInferenceEscrow
    function networkCreditWith(address node) external view returns (uint256) {
        return _credits[node].network;
    }

    /// @dev Credits each payee once per call, and calls nobody (F17).
    function _credit(Terms calldata terms, Shares memory shares) internal {
        address node = terms.node;
        if (shares.node | shares.network != 0) {
            // Nodes of slices were paid, and there is none whose slot could hold the network's share.
            if (node == address(0)) _networkCredit.add(shares.network, 0);
            else _credits[node].add(shares.node, shares.network);
            emit FeesCredited(node, shares.node, shares.network);
        }
        if (shares.facilitator | shares.royalty != 0) {
            (address facilitator, bytes32 modelId) = (terms.facilitator, terms.modelId);
            _credits[facilitator].add(shares.facilitator, 0);
            _royalties[modelId].add(shares.royalty, 0);
            emit SharesCredited(facilitator, modelId, shares.facilitator, shares.royalty);
        }
    }

    /// @dev Who the token refuses to pay must not block others, nor lose the money (F14).
    function _transferOrCredit(bytes32 id, address account, uint256 amount) internal {
        if (amount == 0 || TOKEN.trySafeTransfer(account, amount)) return;
        _credits[account].add(amount, 0);
        emit TransferCredited(id, account, amount);
    }

    /// @dev Pays out what an account has earned; what the network has earned through it moves on.
    function _payOut(address account, address to) internal returns (uint256 amount) {
        _requireRecipient(to);
        uint256 networkAmount;
        (amount, networkAmount) = _credits[account].empty();
        if (amount | networkAmount == 0) return 0;
        _networkCredit.add(networkAmount, 0);
        emit Claimed(account, to, amount, networkAmount);

        if (amount != 0) TOKEN.safeTransfer(to, amount);
    }

    function _requireEntitled(address entitled, address to) private view {
        _requireRecipient(to);
        require(to == entitled || msg.sender == entitled, NotEntitled(entitled, msg.sender));
    }

    /// @dev What is sent to nobody, or back here, would be nobody's.
    function _requireRecipient(address to) private view {
        require(to != address(0) && to != address(this), RecipientInvalid(to));
    }
}
