// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFeePolicy} from "../../interfaces/IFeePolicy.sol";

/// @title HostileFeePolicy
/// @notice For tests: asks any share, and reverts when told to.
contract HostileFeePolicy is IFeePolicy {
    uint16 private _networkBps;
    address private _recipient;
    bool private _reverts;

    function setReverts(bool reverts) external {
        _reverts = reverts;
    }

    /// @inheritdoc IFeePolicy
    function setNetworkBps(uint16 networkBps_) external {
        _networkBps = networkBps_;
    }

    /// @inheritdoc IFeePolicy
    function setNetworkRecipient(address recipient) external {
        _recipient = recipient;
    }

    /// @inheritdoc IFeePolicy
    function networkBps() external view returns (uint16) {
        require(!_reverts);
        return _networkBps;
    }

    /// @inheritdoc IFeePolicy
    function networkRecipient() external view returns (address) {
        require(!_reverts);
        return _recipient;
    }
}
