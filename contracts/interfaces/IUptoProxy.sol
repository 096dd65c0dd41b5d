// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IPermit2} from "./IPermit2.sol";

/// @title IUptoProxy
/// @notice The x402 upto proxy, as x402 2.27 publishes it: what stock `upto` clients name as Permit2's spender. It settles
/// for the facilitator that the payer signed, and for nobody else.
interface IUptoProxy {
    /// @notice What the payer signs beside the permit.
    struct Witness {
        /// @dev Where the tokens go.
        address to;
        /// @dev Who alone may settle.
        address facilitator;
        /// @dev Unix seconds before which nothing is settled.
        uint256 validAfter;
    }

    /// @notice An EIP-2612 approval of Permit2.
    struct EIP2612Permit {
        uint256 value;
        uint256 deadline;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    /// @notice A payment was settled.
    event Settled();
    /// @notice A payment was settled, its approval of Permit2 brought along.
    event SettledWithPermit();

    /// @notice More was asked for than the payer signed.
    error AmountExceedsPermitted();
    /// @notice The destination is zero.
    error InvalidDestination();
    /// @notice The payer is zero.
    error InvalidOwner();
    /// @notice The proxy was deployed without Permit2.
    error InvalidPermit2Address();
    /// @notice `validAfter` is to come.
    error PaymentTooEarly();
    /// @notice The approval is not of the permitted amount.
    error Permit2612AmountMismatch();
    /// @notice The caller is not the facilitator that the payer signed.
    error UnauthorizedFacilitator();

    /// @notice The Permit2 that moves the tokens.
    function PERMIT2() external view returns (IPermit2);

    /// @notice EIP-712 type hash of `Witness`.
    function WITNESS_TYPEHASH() external view returns (bytes32);

    /// @notice What Permit2 appends to its stub: the witness member, then referenced types in alphabetical order.
    function WITNESS_TYPE_STRING() external view returns (string memory);

    /// @notice Moves `amount` of what `owner` signed to `witness.to`. Only `witness.facilitator` may call.
    /// @dev Reverts with the errors above, with Permit2's, or with the token's.
    function settle(
        IPermit2.PermitTransferFrom calldata permit,
        uint256 amount,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) external;

    /// @notice `settle`, after an attempt to approve Permit2 by EIP-2612. A failed attempt is passed over, since the
    /// approval may be there already.
    function settleWithPermit(
        EIP2612Permit calldata permit2612,
        IPermit2.PermitTransferFrom calldata permit,
        uint256 amount,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) external;
}
