// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Credits} from "../../libraries/Credits.sol";

/// @title CreditsHarness
/// @notice For tests: one bucket of `Credits`, and what its slot holds.
contract CreditsHarness {
    using Credits for Credits.Bucket;

    Credits.Bucket private _bucket;

    function add(uint256 amount, uint256 networkAmount) external {
        _bucket.add(amount, networkAmount);
    }

    function empty() external returns (uint256 amount, uint256 networkAmount) {
        return _bucket.empty();
    }

    function emptyNetwork() external returns (uint256 networkAmount) {
        return _bucket.emptyNetwork();
    }

    function value() external view returns (uint256) {
        return _bucket.value();
    }

    function slot() external view returns (uint256 plusOne, uint256 network) {
        return (_bucket.plusOne, _bucket.network);
    }
}
