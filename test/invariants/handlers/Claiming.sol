// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Guarantee} from "../support/Guarantee.sol";
import {Ledger} from "../support/Ledger.sol";
import {World} from "../support/World.sol";
import {Handler} from "./Handler.sol";

/// @title Claiming
/// @notice Credits paid out: to those entitled by anyone, elsewhere by themselves only.
contract Claiming is Handler {
    constructor(World world_, Ledger ledger_) Handler(world_, ledger_) {}

    function claim(uint256 who, uint256 caller) external move {
        address account = _payee(who);
        (bool success, bytes memory answer) = _send(_anyone(caller), abi.encodeCall(escrow.claim, (account)));
        ledger.count("claim", _amountIn(success, answer) != 0);
        bool foretold = ledger.canPayOut(ledger.credit(account), account);
        _expect(success, foretold, Guarantee.E10, "a credit could not be claimed");
        if (success) ledger.claim(account, account);
    }

    function claimTo(uint256 who, uint256 where) external move {
        address account = _payee(who);
        address to = _anyone(where);
        (bool success, bytes memory answer) = _send(account, abi.encodeCall(escrow.claimTo, (to)));
        ledger.count("claimTo", _amountIn(success, answer) != 0);
        bool foretold = ledger.canPayOut(ledger.credit(account), to);
        _expect(success, foretold, Guarantee.E10, "a credit could not be claimed to elsewhere");
        if (success) ledger.claim(account, to);
    }

    /// @notice Nothing is paid to nobody, nor to the escrow.
    function claimToNowhere(uint256 who, uint256 seed) external move {
        address to = seed % 2 == 0 ? address(0) : address(escrow);
        bytes memory data = abi.encodeCall(escrow.claimTo, (to));
        if (seed % 3 == 1) data = abi.encodeCall(escrow.claimRoyalty, (world.modelId(), to));
        if (seed % 3 == 2) data = abi.encodeCall(escrow.claimNetwork, (to));
        (bool success, ) = _send(_entitled(who), data);
        ledger.count("claimToNowhere", true);
        _expect(success, false, Guarantee.E10, "a credit was paid to nobody");
    }

    /// @notice By anyone to the owner, by the owner to anywhere.
    function claimRoyalty(uint256 which, uint256 who, uint256 where) external move {
        bytes32 model = world.offer(which % world.OFFERS()).modelId;
        (bool known, address owner) = _modelOwner(model);
        address caller = who % 2 == 0 ? owner : _anyone(who);
        address to = where % 2 == 0 ? owner : _anyone(where);
        bool entitled = known && to != address(0) && (to == owner || caller == owner);
        entitled = entitled && ledger.canPayOut(ledger.royalty(model), to);
        bytes memory data = abi.encodeCall(escrow.claimRoyalty, (model, to));
        (bool success, bytes memory answer) = _send(caller, data);
        ledger.count("claimRoyalty", _amountIn(success, answer) != 0);
        if (success != entitled) ledger.blame(Guarantee.E10, "royalties went to others than the owner says, or stuck");
        if (success) ledger.claimRoyalty(model, to);
    }

    function claimNetwork(uint256 who, uint256 where) external move {
        (bool known, address recipient) = _networkRecipient();
        address caller = who % 2 == 0 ? recipient : _anyone(who);
        address to = where % 2 == 0 ? recipient : _anyone(where);
        bool entitled = known && to != address(0) && (to == recipient || caller == recipient);
        entitled = entitled && ledger.canPayOut(ledger.networkCredit(), to);
        (bool success, bytes memory answer) = _send(caller, abi.encodeCall(escrow.claimNetwork, (to)));
        ledger.count("claimNetwork", _amountIn(success, answer) != 0);
        if (success != entitled) ledger.blame(Guarantee.E10, "the network's credit went elsewhere, or stuck");
        if (success) ledger.claimNetwork(to);
    }

    /// @notice Anyone moves on what the network earned through nodes, and through accounts that are none.
    function collectNetwork(uint256 who, uint256 size) external move {
        address[] memory accounts = new address[](size % 4);
        uint256 foretold = 0;
        for (uint256 i = 0; i < accounts.length; ++i) {
            accounts[i] = _earner(who >> (8 * i));
            foretold += ledger.networkWith(accounts[i]);
            ledger.collect(accounts[i]);
        }
        (bool success, bytes memory answer) = _send(_anyone(who), abi.encodeCall(escrow.collectNetwork, (accounts)));
        bool exact = success && abi.decode(answer, (uint256)) == foretold;
        _expect(exact, true, Guarantee.E10, "the network's share was not collected, or another's was");
        ledger.count("collectNetwork", foretold != 0);
    }

    /// @dev Mostly somebody through whom the network earned something.
    function _earner(uint256 seed) private view returns (address account) {
        account = _anyone(seed >> 2);
        for (uint256 i = 0; seed % 4 != 0 && i < 3 && ledger.networkWith(account) == 0; ++i) account = world.nodes(i);
    }

    function _entitled(uint256 seed) private view returns (address) {
        if (seed % 3 == 0) return world.modelOwner();
        if (seed % 3 == 1) return world.network();
        return world.nodes((seed >> 8) % 3);
    }

    function _modelOwner(bytes32 model) private view returns (bool known, address owner) {
        return _ask(address(world.registrySwitch()), abi.encodeCall(world.registry().ownerOf, (model)));
    }

    function _networkRecipient() private view returns (bool known, address recipient) {
        return _ask(address(world.policySwitch()), abi.encodeCall(world.policy().networkRecipient, ()));
    }

    /// @dev Where the policy reverts nobody is known, and the thief asks.
    function _ask(address target, bytes memory data) private view returns (bool known, address account) {
        bytes memory answer;
        (known, answer) = target.staticcall(data);
        account = known ? abi.decode(answer, (address)) : world.thief();
    }
}
