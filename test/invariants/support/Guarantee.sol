// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice The guarantees of docs/SPEC.md, section 9, that hold on chain and after every call.
enum Guarantee {
    None,
    E1,
    E2,
    E3,
    E4,
    E5,
    E6,
    E7,
    E8,
    E9,
    E10
}
