// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title ScriptedTEERegistry
/// @notice A registry that answers each call with the bytes it was told, for tests of what a hostile or changed registry
/// may return.
contract ScriptedTEERegistry {
    struct Answer {
        bool given;
        bytes data;
    }

    mapping(bytes4 selector => Answer) private _answers;

    /// @notice No answer was given for the call.
    error Unscripted(bytes4 selector);

    /// @notice Answers calls of `selector` with `data`, whatever their arguments.
    function script(bytes4 selector, bytes calldata data) external {
        _answers[selector] = Answer({given: true, data: data});
    }

    /// @notice Makes calls of `selector` revert again.
    function forget(bytes4 selector) external {
        delete _answers[selector];
    }

    /// @dev Solidity takes what a fallback returns as it is, without an encoding around it.
    fallback(bytes calldata) external returns (bytes memory) {
        Answer storage answer = _answers[msg.sig];
        require(answer.given, Unscripted(msg.sig));
        return answer.data;
    }
}
