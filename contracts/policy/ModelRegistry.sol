// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {SharesLib} from "../libraries/Shares.sol";

/// @title ModelRegistry
/// @notice See `IModelRegistry`. Nobody administers it.
contract ModelRegistry is IModelRegistry {
    struct Model {
        // One slot: opening an order reads it once.
        address owner; // 160 bits
        uint16 royaltyBps; // 16 bits, at most 2,000
        address offeredTo;
    }

    mapping(bytes32 modelId => Model) private _models;

    modifier onlyModelOwner(bytes32 modelId) {
        address owner = _models[modelId].owner;
        require(owner == msg.sender, NotModelOwner(modelId, owner, msg.sender));
        _;
    }

    /// @inheritdoc IModelRegistry
    function register(string calldata name, uint16 royaltyBps_) external returns (bytes32 modelId) {
        modelId = keccak256(abi.encode(msg.sender, name));
        Model storage model = _models[modelId];
        require(model.owner == address(0), ModelRegisteredAlready(modelId));
        _requireWithinCap(royaltyBps_);

        model.owner = msg.sender;
        model.royaltyBps = royaltyBps_;
        emit ModelRegistered(modelId, msg.sender, name, royaltyBps_);
    }

    /// @inheritdoc IModelRegistry
    function setRoyaltyBps(bytes32 modelId, uint16 royaltyBps_) external onlyModelOwner(modelId) {
        _requireWithinCap(royaltyBps_);
        _models[modelId].royaltyBps = royaltyBps_;
        emit RoyaltyBpsSet(modelId, royaltyBps_);
    }

    /// @inheritdoc IModelRegistry
    function offer(bytes32 modelId, address to) external onlyModelOwner(modelId) {
        _models[modelId].offeredTo = to;
        emit ModelOffered(modelId, to);
    }

    /// @inheritdoc IModelRegistry
    function accept(bytes32 modelId) external {
        Model storage model = _models[modelId];
        require(model.offeredTo == msg.sender, NotOfferedModel(modelId, model.offeredTo, msg.sender));

        model.owner = msg.sender;
        delete model.offeredTo;
        emit ModelTransferred(modelId, msg.sender);
    }

    /// @inheritdoc IModelRegistry
    function ownerOf(bytes32 modelId) external view returns (address) {
        return _models[modelId].owner;
    }

    /// @inheritdoc IModelRegistry
    function royaltyBps(bytes32 modelId) external view returns (uint16) {
        return _models[modelId].royaltyBps;
    }

    function _requireWithinCap(uint16 royaltyBps_) private pure {
        require(royaltyBps_ <= SharesLib.MAX_ROYALTY_BPS, RoyaltyBpsTooHigh(royaltyBps_, SharesLib.MAX_ROYALTY_BPS));
    }
}
