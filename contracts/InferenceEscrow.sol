// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";

import {Opening} from "./escrow/Opening.sol";
import {Payouts} from "./escrow/Payouts.sol";
import {Slices} from "./escrow/Slices.sol";
import {IFeePolicy} from "./interfaces/IFeePolicy.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IPermit2} from "./interfaces/IPermit2.sol";
import {KeyReceiptVerifier} from "./verifiers/KeyReceiptVerifier.sol";

/// @title InferenceEscrow
/// @notice See `IInferenceEscrow`; the guarantees E1-E12 that comments cite are those of docs/SPEC.md.
/// @dev It is a `KeyReceiptVerifier` too: orders that name the escrow itself as their verifier pay for no cold account,
/// neither when they open nor when they settle. It is asked as any other verifier is, and can do no more.
contract InferenceEscrow is Opening, Slices, KeyReceiptVerifier, Multicall {
    constructor(
        IERC20 token,
        IPermit2 permit2,
        IFeePolicy feePolicy,
        IModelRegistry modelRegistry
    ) Payouts(token, feePolicy, modelRegistry) EIP712("InferenceEscrow", "1") Opening(permit2) {}
}
