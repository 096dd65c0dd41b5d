// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title HostileWallet
/// @notice For tests: an ERC-1271 payer that signs everything, until it is told to misbehave.
contract HostileWallet is IERC1271 {
    enum Mood {
        Signs,
        Refuses,
        BurnsGas,
        ReturnBomb,
        RevertBomb,
        ShortAnswer,
        DirtyAnswer
    }

    Mood public mood;

    constructor(IERC20 token, address spender) {
        token.approve(spender, type(uint256).max);
    }

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        bytes4 magic = IERC1271.isValidSignature.selector;
        Mood present = mood;
        if (present == Mood.Refuses) return 0xffffffff;
        if (present == Mood.BurnsGas) {
            while (gasleft() > 0) {}
        }
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, magic)
            switch present
            case 3 {
                return(free, 100000)
            }
            case 4 {
                revert(free, 100000)
            }
            case 5 {
                return(free, 4)
            }
            case 6 {
                mstore(free, or(magic, 1))
                return(free, 32)
            }
        }
        return magic;
    }
}
