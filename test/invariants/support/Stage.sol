// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Batching} from "../handlers/Batching.sol";
import {Claiming} from "../handlers/Claiming.sol";
import {Closing} from "../handlers/Closing.sol";
import {Funding} from "../handlers/Funding.sol";
import {Multicalling} from "../handlers/Multicalling.sol";
import {Opening} from "../handlers/Opening.sol";
import {Routing} from "../handlers/Routing.sol";
import {Scheming} from "../handlers/Scheming.sol";
import {Settling} from "../handlers/Settling.sol";
import {Ledger} from "./Ledger.sol";
import {MoodyOPG} from "./MoodyOPG.sol";
import {World} from "./World.sol";

/// @title Stage
/// @notice A fresh world with its books and all moves on it.
abstract contract Stage is Test {
    World internal world;
    Ledger internal ledger;
    IInferenceEscrow internal escrow;
    MoodyOPG internal token;

    address[] internal handlers;
    // Copies of what the world has, since every check reads them.
    address[] internal accounts;
    bytes32[] internal models;
    mapping(uint256 offer => uint256 index) internal nodeOf;

    function setUp() public virtual {
        world = new World();
        ledger = new Ledger(world);
        escrow = world.escrow();
        token = world.token();
        vm.warp(ledger.clock());
        _copy();

        handlers.push(address(new Opening(world, ledger)));
        handlers.push(address(new Batching(world, ledger)));
        handlers.push(address(new Settling(world, ledger)));
        handlers.push(address(new Closing(world, ledger)));
        handlers.push(address(new Funding(world, ledger)));
        handlers.push(address(new Routing(world, ledger)));
        handlers.push(address(new Claiming(world, ledger)));
        handlers.push(address(new Multicalling(world, ledger)));
        handlers.push(address(new Scheming(world, ledger)));
    }

    function _copy() private {
        for (uint256 i = 0; i < world.accountCount(); ++i) accounts.push(world.accounts(i));
        for (uint256 i = 0; i < world.OFFERS(); ++i) {
            bytes32 model = world.offer(i).modelId;
            bool known = false;
            for (uint256 j = 0; j < models.length; ++j) known = known || models[j] == model;
            if (!known) models.push(model);
            while (i < world.DIRECT_OFFERS() && world.nodes(nodeOf[i]) != world.offer(i).node) ++nodeOf[i];
        }
    }
}
