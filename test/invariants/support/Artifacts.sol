// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";

/// @title Artifacts
/// @notice Deploys what Hardhat compiled, so that the code under test is the code that ships, to the byte; and Permit2.
library Artifacts {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    address private constant DETERMINISTIC_DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    string private constant GENERATED = "packages/bindings/src/generated/permit2.ts";

    error NotDeployed(string what);

    /// @param folder of the source below `contracts`, with its slash; the file has the contract's name
    function deploy(string memory folder, string memory name, bytes memory arguments) internal returns (address at) {
        string memory path = string.concat("artifacts/contracts/", folder, name, ".sol/", name, ".json");
        bytes memory code = abi.encodePacked(vm.parseJsonBytes(vm.readFile(path), ".bytecode"), arguments);
        assembly ("memory-safe") {
            at := create(0, add(code, 0x20), mload(code))
        }
        require(at != address(0), NotDeployed(path));
    }

    /// @notice Puts the real Permit2 where it is on every chain, the way it came there.
    function deployPermit2() internal {
        string memory source = vm.readFile(GENERATED);
        bytes memory call_ = abi.encodePacked(
            _constant(source, "permit2Salt"),
            _constant(source, "permit2CreationCode")
        );
        (bool success, ) = DETERMINISTIC_DEPLOYER.call(call_);
        require(success && PERMIT2.code.length != 0, NotDeployed("Permit2"));
    }

    function _constant(string memory source, string memory name) private pure returns (bytes memory) {
        string memory rest = vm.split(source, string.concat("export const ", name, " = '"))[1];
        return vm.parseBytes(vm.split(rest, "'")[0]);
    }
}
