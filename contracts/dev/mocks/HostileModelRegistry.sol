// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title HostileModelRegistry
/// @notice For tests: every model asks the same share, whatever it is, and reverts when told to.
contract HostileModelRegistry {
    uint16 private _royaltyBps;
    bool private _reverts;

    function setReverts(bool reverts) external {
        _reverts = reverts;
    }

    function setRoyaltyBps(uint16 royaltyBps_) external {
        _royaltyBps = royaltyBps_;
    }

    function royaltyBps(bytes32) external view returns (uint16) {
        require(!_reverts);
        return _royaltyBps;
    }

    function ownerOf(bytes32) external view returns (address) {
        require(!_reverts);
        return address(this);
    }
}
