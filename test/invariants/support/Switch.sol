// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Switch
/// @notice Answers as another contract, which can be exchanged: so one escrow meets the real fee policy and the hostile
/// one in the course of a run.
contract Switch {
    address public target;

    constructor(address target_) {
        target = target_;
    }

    function turnTo(address target_) external {
        target = target_;
    }

    fallback(bytes calldata data) external returns (bytes memory answer) {
        bool success;
        (success, answer) = target.staticcall(data);
        if (success) return answer;
        assembly ("memory-safe") {
            revert(add(answer, 0x20), mload(answer))
        }
    }
}
