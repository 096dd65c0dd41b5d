// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {HostileWallet} from "../../../contracts/dev/mocks/HostileWallet.sol";

/// @title ThriftyWallet
/// @notice An honest wallet whose check is dear, and which gives up at once where the gas would not last. Starved, it costs
/// next to nothing: so much is left to the batch that it could end as if nothing had been wrong.
contract ThriftyWallet is IERC1271 {
    /// @notice What it asks for. A batch gives more.
    uint256 private constant _NEEDED = 60_000;

    /// @notice It has one mood only.
    HostileWallet.Mood public constant mood = HostileWallet.Mood.Signs;

    constructor(IERC20 token, address spender) {
        token.approve(spender, type(uint256).max);
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        require(gasleft() >= _NEEDED);
        return IERC1271.isValidSignature.selector;
    }
}
