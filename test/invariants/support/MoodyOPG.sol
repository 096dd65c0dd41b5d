// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {DevOPG} from "../../../contracts/dev/DevOPG.sol";

/// @title MoodyOPG
/// @notice `DevOPG` that may refuse to pay one account, as tokens with block lists do: by reverting, by saying false, or
/// by a flood (F14).
contract MoodyOPG is DevOPG {
    enum Mood {
        Pays,
        Reverts,
        SaysFalse,
        RevertBomb
    }

    Mood public mood;
    address public refused;

    function turn(Mood mood_, address refused_) external {
        mood = mood_;
        refused = refused_;
    }

    /// @notice Whether `account` would be paid.
    function pays(address account) external view returns (bool) {
        return mood == Mood.Pays || account != refused;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (to == refused) {
            if (mood == Mood.SaysFalse) return false;
            require(mood != Mood.Reverts);
            if (mood == Mood.RevertBomb) {
                assembly ("memory-safe") {
                    revert(mload(0x40), 100000)
                }
            }
        }
        return super.transfer(to, amount);
    }
}
