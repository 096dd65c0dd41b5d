// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title DevTEERegistry
/// @notice A TEE registry for local chains and nothing else: it asks for no attestation, so anyone registers any key.
/// @dev Answers the calls of `ITEERegistry`. It does not inherit it, since `tees` gives a longer record here, with
/// dynamic members behind the two stable ones, as a real registry does.
contract DevTEERegistry {
    struct Tee {
        address owner;
        address paymentAddress;
        string endpoint;
        bytes publicKey;
        bytes tlsCertificate;
        bytes32 pcrHash;
        uint8 teeType;
        bool enabled;
        uint256 registeredAt;
    }

    /// @notice An enclave was registered, and is enabled.
    event TEERegistered(bytes32 indexed teeId, address indexed owner, uint8 teeType);
    /// @notice An enclave may serve.
    event TEEEnabled(bytes32 indexed teeId);
    /// @notice An enclave may no longer serve.
    event TEEDisabled(bytes32 indexed teeId);

    /// @notice The key is registered already.
    error TEEAlreadyRegistered(bytes32 teeId);
    /// @notice No such enclave.
    error TEEUnknown(bytes32 teeId);
    /// @notice The caller does not own the enclave.
    error TEENotOwned(bytes32 teeId, address owner, address caller);

    /// @notice The registrations.
    mapping(bytes32 teeId => Tee) public tees;

    /// @notice Registers and enables an enclave. The caller becomes its owner.
    /// @param publicKey SPKI DER, not checked
    /// @param paymentAddress any address, as the caller likes
    /// @return teeId keccak256 of the key
    function register(
        bytes calldata publicKey,
        address paymentAddress,
        string calldata endpoint,
        uint8 teeType
    ) external returns (bytes32 teeId) {
        teeId = keccak256(publicKey);
        require(tees[teeId].owner == address(0), TEEAlreadyRegistered(teeId));
        tees[teeId] = Tee({
            owner: msg.sender,
            paymentAddress: paymentAddress,
            endpoint: endpoint,
            publicKey: publicKey,
            tlsCertificate: "",
            pcrHash: 0,
            teeType: teeType,
            enabled: true,
            registeredAt: block.timestamp
        });
        emit TEERegistered(teeId, msg.sender, teeType);
    }

    /// @notice Lets an enclave serve. Only its owner.
    function enableTEE(bytes32 teeId) external {
        _owned(teeId).enabled = true;
        emit TEEEnabled(teeId);
    }

    /// @notice Stops an enclave at once. Only its owner.
    function disableTEE(bytes32 teeId) external {
        _owned(teeId).enabled = false;
        emit TEEDisabled(teeId);
    }

    /// @notice Whether the enclave is enabled.
    function isTEEEnabled(bytes32 teeId) external view returns (bool) {
        return tees[teeId].enabled;
    }

    /// @notice Whether the enclave is enabled: there are no heartbeats here.
    function isTEEActive(bytes32 teeId) external view returns (bool) {
        return tees[teeId].enabled;
    }

    /// @notice The enclave's key.
    function getTEEPublicKey(bytes32 teeId) external view returns (bytes memory) {
        require(tees[teeId].owner != address(0), TEEUnknown(teeId));
        return tees[teeId].publicKey;
    }

    function _owned(bytes32 teeId) private view returns (Tee storage tee) {
        tee = tees[teeId];
        require(tee.owner == msg.sender, TEENotOwned(teeId, tee.owner, msg.sender));
    }
}
