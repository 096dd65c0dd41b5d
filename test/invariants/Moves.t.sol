// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {console2} from "forge-std/console2.sol";

import {Guarantee} from "./support/Guarantee.sol";
import {Probes} from "./support/Probes.sol";

/// @title Moves
/// @notice Invariants over moves that do nothing would hold of anything. So: every external function of every handler,
/// called by chance as the fuzzer does, does what its name says, and often enough.
contract Moves is Probes {
    uint256 private constant RUNS = 20;
    uint256 private constant DEPTH = 200;

    string[] private _names;
    address[] private _targets;

    function setUp() public override {
        super.setUp();
        string[9] memory kinds = [
            "Opening",
            "Batching",
            "Settling",
            "Closing",
            "Funding",
            "Routing",
            "Claiming",
            "Multicalling",
            "Scheming"
        ];
        for (uint256 i = 0; i < kinds.length; ++i) _list(kinds[i], handlers[i]);
    }

    /// @notice Of the moves made in runs of the usual length one in ten does something, whichever it is.
    function test_everyMoveDoesSomething() external {
        uint256[] memory tried = new uint256[](_names.length);
        uint256[] memory done = new uint256[](_names.length);
        for (uint256 run = 0; run < RUNS; ++run) {
            bytes memory answer = _inVain(abi.encodeCall(this.play, (uint256(keccak256(abi.encode(run))))));
            (uint256[] memory tried_, uint256[] memory done_) = abi.decode(answer, (uint256[], uint256[]));
            for (uint256 i = 0; i < _names.length; ++i)
                (tried[i], done[i]) = (tried[i] + tried_[i], done[i] + done_[i]);
        }
        for (uint256 i = 0; i < _names.length; ++i) {
            console2.log(string.concat(_moveName(i), ": tried, done"), tried[i], done[i]);
        }
        for (uint256 i = 0; i < _names.length; ++i) {
            assertGt(tried[i], (RUNS * DEPTH) / _names.length / 4, string.concat("is hardly made: ", _moveName(i)));
            assertGt(done[i] * 10, tried[i], string.concat("hardly does anything: ", _moveName(i)));
        }
    }

    /// @notice One run, its invariants, and what each move did.
    function play(uint256 chance) external returns (uint256[] memory tried, uint256[] memory done) {
        for (uint256 i = 0; i < DEPTH; ++i) chance = _moveBy(chance);
        for (uint8 g = 1; g <= uint8(type(Guarantee).max); ++g) _requireBlameless(Guarantee(g));
        tried = new uint256[](_names.length);
        done = new uint256[](_names.length);
        for (uint256 i = 0; i < _names.length; ++i) {
            bytes32 name = bytes32(bytes(_moveName(i)));
            (tried[i], done[i]) = (ledger.tried(name), ledger.done(name));
        }
        _bankRun();
    }

    function _moveBy(uint256 chance) private returns (uint256) {
        uint256 first = uint256(keccak256(abi.encode(chance, 1)));
        uint256 second = uint256(keccak256(abi.encode(chance, 2)));
        uint256 third = uint256(keccak256(abi.encode(chance, 3)));
        // The fuzzer likes the ends of the range.
        if (chance % 16 == 0)
            (first, second, third) = (type(uint256).max, third % 2, type(uint256).max - (second % 64));
        uint256 pick = (chance >> 8) % _names.length;
        // Moves take one to three numbers; those too many are ignored.
        (bool success, ) = _targets[pick].call(abi.encodeWithSignature(_names[pick], first, second, third));
        assertTrue(success, string.concat("reverts: ", _names[pick]));
        return uint256(keccak256(abi.encode(chance)));
    }

    function _moveName(uint256 index) private view returns (string memory) {
        return vm.split(_names[index], "(")[0];
    }

    /// @dev From what the compiler says that the handler has, so that none is forgotten.
    function _list(string memory kind, address target) private {
        string memory path = string.concat("cache/forge/out/", kind, ".sol/", kind, ".json");
        string[] memory found = vm.parseJsonKeys(vm.readFile(path), ".methodIdentifiers");
        for (uint256 i = 0; i < found.length; ++i) {
            _names.push(found[i]);
            _targets.push(target);
        }
    }
}
