// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title IModelRegistry
/// @notice Who owns a model and which share of its fees that owner asks. Anyone registers, under an id that commits to
/// the registrant, so nobody can squat another's model.
interface IModelRegistry {
    /// @notice A model was registered; its first owner is the registrant.
    event ModelRegistered(bytes32 indexed modelId, address indexed registrant, string name, uint16 royaltyBps);
    /// @notice The share changed, for orders that open from now on.
    event RoyaltyBpsSet(bytes32 indexed modelId, uint16 royaltyBps);
    /// @notice The owner offered the model to `to`, which must accept.
    event ModelOffered(bytes32 indexed modelId, address indexed to);
    /// @notice The model, with all royalties not yet claimed, belongs to `owner` now.
    event ModelTransferred(bytes32 indexed modelId, address indexed owner);

    /// @notice The registrant registered this name before.
    error ModelRegisteredAlready(bytes32 modelId);
    /// @notice The caller does not own the model (an unregistered model has owner zero).
    error NotModelOwner(bytes32 modelId, address owner, address caller);
    /// @notice The model was offered to somebody else, or to nobody.
    error NotOfferedModel(bytes32 modelId, address offeredTo, address caller);
    /// @notice The share is over the cap.
    error RoyaltyBpsTooHigh(uint16 royaltyBps, uint16 maximum);

    /// @notice Registers `name` for the caller.
    /// @param royaltyBps_ share of each fee, in basis points, at most 2,000
    /// @return modelId `keccak256(abi.encode(caller, name))`
    function register(string calldata name, uint16 royaltyBps_) external returns (bytes32 modelId);

    /// @notice Sets the share of orders that open from now on. Only the owner.
    function setRoyaltyBps(bytes32 modelId, uint16 royaltyBps_) external;

    /// @notice Offers the model to `to`; an offer to zero withdraws the last one. Only the owner.
    function offer(bytes32 modelId, address to) external;

    /// @notice Takes over a model that was offered to the caller.
    function accept(bytes32 modelId) external;

    /// @notice The present owner; zero if unregistered.
    function ownerOf(bytes32 modelId) external view returns (address);

    /// @notice The share in basis points; zero if unregistered.
    function royaltyBps(bytes32 modelId) external view returns (uint16);
}
