// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Terms} from "../types/WorkOrder.sol";
import {IOrderFunder} from "./IOrderFunder.sol";
import {IUptoProxy} from "./IUptoProxy.sol";

/// @title IUptoAdapter
/// @notice Opens orders with what stock x402 `upto` clients sign. Such a client signs two addresses: where the money
/// goes, which is the escrow, and who may move it, which is a desk. The desk stands at an address that commits to the
/// whole offer, so the signature opens orders of that offer and nothing else, whoever sees it.
///
/// An offer is `Offer(Terms terms,uint32 claimWindow)`, hashed after EIP-712. The rest of the order is fixed: the payer is
/// its requester, it is a session (`requestHash` zero), amount and nonce are those of the permit, and
/// `claimBy = deadline + claimWindow`.
///
/// `fund` takes `data = abi.encode(uint32 claimWindow, uint256 validAfter, bytes signature)`. The first order of an offer
/// pays for its desk, some 76,000 gas: `gasPerOrder` of a batch that may hold it must do for that too.
interface IUptoAdapter is IOrderFunder {
    /// @notice Only the escrow asks for funds: anyone else would move a payer's money into it without an order.
    error CallerNotEscrow(address caller);
    /// @notice The order's job is not what an offer sells: a session of the payer itself.
    error JobNotOffered(address requester, bytes32 requestHash);
    /// @notice `claimBy` is before the window that the offer has.
    error ClaimByTooEarly(uint40 claimBy, uint32 claimWindow);

    /// @notice The escrow that orders are opened in.
    function ESCROW() external view returns (address);

    /// @notice The x402 upto proxy.
    function PROXY() external view returns (IUptoProxy);

    /// @notice keccak256 of a desk's creation code, for CREATE2 (EIP-1014).
    function DESK_INIT_CODE_HASH() external view returns (bytes32);

    /// @notice The desk of an offer, whether it stands already or not.
    function deskOf(Terms calldata terms, uint32 claimWindow) external view returns (address desk);
}
