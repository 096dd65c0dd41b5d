// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title StarvingRelayer
/// @notice For tests: a relayer that calls with a gas limit of its choosing, to starve an order.
contract StarvingRelayer {
    function relay(
        address target,
        uint256 gasLimit,
        bytes calldata data
    ) external returns (bool success, bytes memory answer) {
        (success, answer) = target.call{gas: gasLimit}(data);
    }
}
