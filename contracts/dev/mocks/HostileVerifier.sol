// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReceiptVerifier} from "../../interfaces/IReceiptVerifier.sol";
import {Row} from "../../types/Settlement.sol";

/// @title HostileVerifier
/// @notice For tests: accepts everything, until it is told to answer otherwise.
contract HostileVerifier is IReceiptVerifier {
    enum Mood {
        Accepts,
        Refuses,
        Reverts,
        ShortAnswer,
        DirtyAnswer,
        Empty,
        ReturnBomb,
        RevertBomb,
        BurnsGas,
        CallsBack,
        Writes
    }

    Mood public mood;
    address public callee;
    bytes public callback;

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    function setCallback(address callee_, bytes calldata callback_) external {
        callee = callee_;
        callback = callback_;
    }

    /// @inheritdoc IReceiptVerifier
    function verify(address, bytes32, bytes32, Row[] calldata, bytes calldata) external view returns (bytes4) {
        bytes4 magic = IReceiptVerifier.verify.selector;
        Mood present = mood;
        if (present == Mood.Refuses) return 0xffffffff;
        require(present != Mood.Reverts);
        if (present == Mood.BurnsGas) {
            while (gasleft() > 0) {}
        }
        if (present == Mood.CallsBack) _callBack();
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, magic)
            switch present
            case 3 {
                return(free, 31)
            }
            case 4 {
                mstore(free, or(magic, 1))
                return(free, 32)
            }
            case 5 {
                return(free, 0)
            }
            case 6 {
                return(free, 100000)
            }
            case 7 {
                revert(free, 100000)
            }
        }
        if (present == Mood.Writes) _asView(_write)();
        return magic;
    }

    /// @dev Refuses what succeeded: a state-changing call out of a staticcall cannot.
    function _callBack() private view {
        (bool success, ) = callee.staticcall(callback);
        require(success);
    }

    function _write() private {
        mood = Mood.Accepts;
    }

    /// @dev Lets a view function try to write.
    function _asView(function() internal write) private pure returns (function() internal view viewed) {
        assembly {
            viewed := write
        }
    }
}
