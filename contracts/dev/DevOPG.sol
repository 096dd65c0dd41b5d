// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title DevOPG
/// @notice OPG for local chains, never deployed elsewhere: anyone mints. 18 decimals, EIP-2612.
contract DevOPG is ERC20, ERC20Permit {
    constructor() ERC20("OpenGradient (development)", "OPG") ERC20Permit("OpenGradient (development)") {}

    /// @notice Mints `amount` base units to `to`.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
