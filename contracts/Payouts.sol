// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IFeePolicy} from "./interfaces/IFeePolicy.sol";
import {IInferenceEscrow} from "./interfaces/IInferenceEscrow.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {Credits} from "./libraries/Credits.sol";
import {Shares} from "./libraries/Shares.sol";
import {Terms} from "./types/WorkOrder.sol";

/// @title Payouts
/// @notice The part of `InferenceEscrow` that owes: credits of addresses, models and the network, and their claims.
abstract contract Payouts is IInferenceEscrow, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using Credits for Credits.Bucket;

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
        amount = _royalties[modelId].empty();
        if (amount == 0) return 0;
        emit RoyaltyClaimed(modelId, to, amount);

        TOKEN.safeTransfer(to, amount);
    }

    /// @inheritdoc IInferenceEscrow
    function claimNetwork(address to) external nonReentrant returns (uint256 amount) {
        _requireEntitled(FEE_POLICY.networkRecipient(), to);
        amount = _networkCredit.empty();
        if (amount == 0) return 0;
        emit NetworkClaimed(to, amount);

        TOKEN.safeTransfer(to, amount);
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

    /// @dev Credits each payee once per call, and calls nobody (F17); or pays the node at once all that it is owed.
    function _credit(Terms calldata terms, Shares memory shares, bool claim_) internal {
        address node = terms.node;
        uint256 claimed = 0;
        _credits[terms.facilitator].add(shares.facilitator); // first: the node may be the facilitator
        if (claim_) claimed = _credits[node].empty() + shares.node;
        else _credits[node].add(shares.node);
        if ((shares.node | shares.facilitator | shares.royalty | shares.network | claimed) == 0) return;
        _royalties[terms.modelId].add(shares.royalty);
        _networkCredit.add(shares.network);
        emit FeesCredited(
            node,
            terms.facilitator,
            terms.modelId,
            shares.node,
            shares.facilitator,
            shares.royalty,
            shares.network,
            claimed
        );

        if (claimed != 0) TOKEN.safeTransfer(node, claimed);
    }

    /// @dev A payer that the token refuses to pay must not block others, nor lose the money (F14).
    function _refund(bytes32 orderId_, address payer, uint96 refund) internal {
        if (refund == 0 || TOKEN.trySafeTransfer(payer, refund)) return;
        _credits[payer].add(refund);
        emit RefundCredited(orderId_, payer, refund);
    }

    function _payOut(address account, address to) private returns (uint256 amount) {
        _requireRecipient(to);
        amount = _credits[account].empty();
        if (amount == 0) return 0;
        emit Claimed(account, to, amount);

        TOKEN.safeTransfer(to, amount);
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
