// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

import {IFeePolicy} from "../interfaces/IFeePolicy.sol";
import {SharesLib} from "../libraries/Shares.sol";

/// @title FeePolicy
/// @notice See `IFeePolicy`. The owner is the network's governance; it cannot touch orders that are open.
contract FeePolicy is IFeePolicy, Ownable2Step {
    /// @inheritdoc IFeePolicy
    uint16 public networkBps; // slot 1, with the recipient: one read each at opening and claiming
    /// @inheritdoc IFeePolicy
    address public networkRecipient;

    constructor(address owner_, uint16 networkBps_, address recipient) Ownable(owner_) {
        _setNetworkBps(networkBps_);
        _setNetworkRecipient(recipient);
    }

    /// @inheritdoc IFeePolicy
    function setNetworkBps(uint16 networkBps_) external onlyOwner {
        _setNetworkBps(networkBps_);
    }

    /// @inheritdoc IFeePolicy
    function setNetworkRecipient(address recipient) external onlyOwner {
        _setNetworkRecipient(recipient);
    }

    function _setNetworkBps(uint16 networkBps_) private {
        require(networkBps_ <= SharesLib.MAX_NETWORK_BPS, NetworkBpsTooHigh(networkBps_, SharesLib.MAX_NETWORK_BPS));
        networkBps = networkBps_;
        emit NetworkBpsSet(networkBps_);
    }

    function _setNetworkRecipient(address recipient) private {
        require(recipient != address(0), NetworkRecipientZero());
        networkRecipient = recipient;
        emit NetworkRecipientSet(recipient);
    }
}
