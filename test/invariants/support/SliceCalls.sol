// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Settlement} from "../../../contracts/types/Settlement.sol";
import {SliceRow} from "../../../contracts/types/Slice.sol";
import {Order, Terms} from "../../../contracts/types/WorkOrder.sol";
import {Reservation} from "./Ledger.sol";
import {SliceTree} from "./SliceTree.sol";
import {World} from "./World.sol";

/// @title SliceCalls
/// @notice What it takes to settle slices.
library SliceCalls {
    /// @dev Ample for an ECDSA signature, and for a wallet that answers with much.
    uint256 internal constant GAS_PER_SLICE = 60_000;

    /// @notice Whose signature counts for a slice.
    function judgeOf(Reservation memory r, uint256 index) internal pure returns (address) {
        bytes32 key = r.keys[index];
        return key == 0 ? r.nodes[index] : address(uint160(uint256(key)));
    }

    /// @notice Whether a hostile judge, or a node's wallet, accepts good evidence at this moment.
    function accepts(World world, uint256 offer, address judge) internal view returns (bool) {
        if (offer == world.ROUTED_BY_WALLET()) return world.judgeAccepts(offer);
        return judge != world.nodes(2) || world.judgeAccepts(world.WALLET_NODE());
    }

    function evidence(
        World world,
        address signer,
        bytes32 allocationId,
        SliceRow memory row
    ) internal view returns (bytes memory) {
        Terms memory terms;
        (terms.node, terms.evidenceKey) = (row.node, row.evidenceKey);
        Settlement[] memory settlements = new Settlement[](1);
        bytes32 id = keccak256(abi.encode(allocationId, uint256(row.index)));
        settlements[0] = Settlement(id, row.fee, row.receiptsRoot, row.receiptCount, true);
        return world.signBatch(signer, terms, settlements);
    }

    function settleData(
        Terms memory terms,
        Order memory order,
        Reservation memory r,
        SliceRow[] memory rows
    ) internal pure returns (bytes memory) {
        bytes32[] memory leaves = new bytes32[](r.nodes.length);
        bool[] memory wanted = new bool[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) leaves[i] = SliceTree.leaf(r.nodes[i], r.keys[i]);
        for (uint256 i = 0; i < rows.length; ++i) {
            if (rows[i].index < wanted.length) wanted[rows[i].index] = true;
        }
        bytes32[] memory proof = SliceTree.proofFor(leaves, wanted);
        return abi.encodeCall(IInferenceEscrow.settleSlices, (terms, order, r.allocation, rows, proof, GAS_PER_SLICE));
    }
}
