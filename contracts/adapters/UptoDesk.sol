// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title UptoDesk
/// @notice The `facilitator` that stock x402 payers of one offer sign. It passes its adapter's calls on to the upto proxy,
/// and does nothing else: it holds no money and keeps no state.
contract UptoDesk {
    /// @notice Only the adapter that created the desk knows what it stands for.
    error CallerNotAdapter(address caller);

    address private constant PROXY = 0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002;

    address private immutable ADAPTER = msg.sender;

    /// @dev Calls the proxy with the same data; a failure comes back as it is.
    fallback() external {
        require(msg.sender == ADAPTER, CallerNotAdapter(msg.sender));
        // Never returns to Solidity, so memory is free to use.
        assembly ("memory-safe") {
            calldatacopy(0, 0, calldatasize())
            if iszero(call(gas(), PROXY, 0, 0, calldatasize(), 0, 0)) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
            return(0, 0)
        }
    }
}
