// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {InferenceEscrow} from "../../InferenceEscrow.sol";
import {SignedOrder, Terms} from "../../types/WorkOrder.sol";

/// @title StarvingRelayer
/// @notice For tests: a relayer that calls `openBatch` with a gas limit of its choosing, to starve an order.
contract StarvingRelayer {
    function openBatch(
        InferenceEscrow escrow,
        uint256 gasLimit,
        Terms calldata terms,
        SignedOrder[] calldata signed,
        uint256 gasPerOrder
    ) external returns (bool success, bytes memory answer) {
        bytes memory data = abi.encodeCall(escrow.openBatch, (terms, signed, gasPerOrder));
        (success, answer) = address(escrow).call{gas: gasLimit}(data);
    }
}
