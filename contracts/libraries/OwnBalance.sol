// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title OwnBalance
/// @notice What this contract holds of a token, asked twice by every opening: without the decoding that Solidity adds.
library OwnBalance {
    /// @notice The token did not say what this contract holds.
    error BalanceUnknown(IERC20 token);

    function ownBalance(IERC20 token) internal view returns (uint256 held) {
        bytes4 selector = IERC20.balanceOf.selector;
        bool success;
        // Memory-safe: uses scratch space only.
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, address())
            success := staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20)
            success := and(success, gt(returndatasize(), 0x1f))
            held := mload(0x00)
        }
        require(success, BalanceUnknown(token));
    }
}
