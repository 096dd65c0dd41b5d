// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IInferenceEscrow} from "./IInferenceEscrow.sol";

/// @title IValidatorPool
/// @notice Divides the network's share by weight among the validators, who pull. Meant as the `networkRecipient` of the
/// fee policy; tokens that come from elsewhere are divided alike.
///
/// The owner, the network's governance, sets weights and nothing else. A change of weights first collects what the
/// escrow owes the network and divides it, so what came in before belongs to the validators of that time; nothing takes
/// back what was divided. Who may collect is the fee policy's word: its owner can name another recipient than this pool,
/// and then what lies in the escrow is that one's.
///
/// What the network has earned through nodes that have not claimed yet is collected by anyone's call of the escrow's
/// `collectNetwork`: governance makes it before a change of weights that should not touch it.
///
/// @dev Amounts are OPG base units. A division credits each unit of weight with the same amount, in 2^-96 base units and
/// rounded down; a claim pays whole base units and keeps the fraction. So the sum of what is paid never exceeds what
/// arrived, and neither the order nor the number of claims changes what a validator gets. What stays behind for ever is
/// below one base unit for each validator, and `totalWeight / 2^96` for each division.
///
/// The token is plain (see SECURITY.md), and all its supply times the number of times it ever passes through here is
/// below 2^160.
interface IValidatorPool {
    /// @notice A validator and its part of what is divided from now on: `weight / totalWeight`.
    struct Weight {
        address validator;
        /// @dev Zero: it gets nothing of later divisions, and keeps what it has.
        uint32 weight;
    }

    /// @notice A validator's weight changed; divisions before this event know the old one.
    event WeightSet(address indexed validator, uint32 weight);
    /// @notice `amount` was divided: each unit of weight was credited with `floor(amount * 2^96 / totalWeight)`, in
    /// 2^-96 base units.
    event Distributed(uint256 amount, uint256 totalWeight);
    /// @notice A validator's credit was paid out, in whole base units.
    event Claimed(address indexed validator, address indexed to, uint256 amount);
    /// @notice The escrow did not pay, though it had the gas: this pool is not the network's recipient now, or the token
    /// refuses. What the network has there is divided when it arrives, among the validators of that time.
    /// @param reason selector of the escrow's error; zero if it gave none
    event CollectFailed(bytes4 reason);

    /// @notice The escrow's address has no code.
    error EscrowWithoutCode(address escrow);
    /// @notice A validator, or the destination of a claim, is zero or this pool.
    error RecipientInvalid(address to);
    /// @notice The gas left could not have given the escrow what collecting may take, so that a failure would prove
    /// nothing.
    error GasTooLow(uint256 needed, uint256 left);
    /// @notice This is inside of a call of the escrow, which pays nobody meanwhile: its refusal would prove nothing.
    error EscrowBusy();

    /// @notice What is divided.
    function TOKEN() external view returns (IERC20);

    /// @notice Whose network credit is collected. Other escrows of the same fee policy pay by anyone's `claimNetwork`.
    function ESCROW() external view returns (IInferenceEscrow);

    /// @notice Gas that the escrow gets to pay the network's credit. Should it ever take more, anyone's call of
    /// `claimNetwork` has the same effect.
    function COLLECT_GAS() external view returns (uint256);

    /// @notice Sum of all weights.
    function totalWeight() external view returns (uint64);

    /// @notice A validator's weight.
    function weightOf(address validator) external view returns (uint32);

    /// @notice What a validator can claim, by the divisions so far.
    function claimable(address validator) external view returns (uint256);

    /// @notice What arrived and is not divided yet: it waits for `distribute`, and while there is no validator for one.
    function undistributed() external view returns (uint256);

    /// @notice Collects and divides what came in so far under the weights so far, then sets weights, in their order. Only
    /// the owner. Emits `Distributed` if there was something to divide, `CollectFailed` if the escrow refused, and
    /// `WeightSet` for each.
    /// @dev The escrow is called with exactly `COLLECT_GAS`, and `GasTooLow` reverts where that cannot be, `EscrowBusy`
    /// where the escrow is in the middle of another call: whoever executes a decision of governance cannot make the
    /// collection fail, and an escrow that fails does not hold up governance.
    function setWeights(Weight[] calldata weights) external;

    /// @notice Collects what the escrow owes the network and divides what is here. Anyone; nothing happens while there is
    /// no validator, or nothing to divide. Emits and reverts as `setWeights`.
    function distribute() external returns (uint256 amount);

    /// @notice Pays a validator's credit to it. Anyone; nothing happens on a credit below one base unit.
    function claim(address validator) external returns (uint256 amount);

    /// @notice Pays the caller's credit to `to`.
    function claimTo(address to) external returns (uint256 amount);
}
