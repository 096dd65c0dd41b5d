// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title ExactWallet
/// @notice For tests: an ERC-1271 payer that signs one digest, with one signature of any length.
contract ExactWallet is IERC1271 {
    bytes32 private _digest;
    bytes32 private _signatureHash;

    constructor(IERC20 token, address spender) {
        token.approve(spender, type(uint256).max);
    }

    function expectSignature(bytes32 digest, bytes calldata signature) external {
        _digest = digest;
        _signatureHash = keccak256(signature);
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        bool exact = digest == _digest && keccak256(signature) == _signatureHash;
        return exact ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
