// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {HostileWallet} from "../../../contracts/dev/mocks/HostileWallet.sol";
import {IFeePolicy} from "../../../contracts/interfaces/IFeePolicy.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Guarantee} from "../support/Guarantee.sol";
import {IPermit2Full} from "../support/IPermit2Full.sol";
import {Ledger} from "../support/Ledger.sol";
import {MoodyOPG} from "../support/MoodyOPG.sol";
import {World} from "../support/World.sol";
import {Handler} from "./Handler.sol";

/// @title Scheming
/// @notice What payers, governance and strangers do around the escrow, hoping to change what is in it.
contract Scheming is Handler {
    constructor(World world_, Ledger ledger_) Handler(world_, ledger_) {}

    /// @notice A payer moves all it has away.
    function emptyWallet(uint256 who) external move {
        address payer = _payer(who);
        address to = world.thief();
        uint256 amount = token.balanceOf(payer);
        vm.prank(payer);
        token.transfer(to, amount);
        ledger.transfer(payer, to, amount);
        ledger.count("emptyWallet", amount != 0);
    }

    function revokeApproval(uint256 who, uint256 seed) external move {
        address permit2 = address(world.permit2());
        vm.prank(_payer(who));
        token.approve(permit2, seed % 4 == 0 ? 0 : type(uint256).max);
        ledger.count("revokeApproval", true);
    }

    /// @notice A payer burns the nonces of its next orders, or of those that are open.
    function burnNonces(uint256 who, uint256 seed) external move {
        uint256 next = ledger.nextNonce();
        uint256 nonce = seed % 2 == 0 ? next : next / 2;
        IPermit2Full permit2 = world.permit2();
        vm.prank(_payer(who));
        permit2.invalidateUnorderedNonces(nonce >> 8, 1 << (nonce & 0xff));
        ledger.count("burnNonces", true);
    }

    /// @notice A payer's wallet, or the one that routes orders, gets into another mood.
    function turnWallet(uint256 who, uint256 mood, uint256 seed) external move {
        HostileWallet wallet = HostileWallet(who % 3 == 2 ? world.router() : world.payers(2 + (who % 3)));
        wallet.setMood(HostileWallet.Mood(seed % 3 == 0 ? 0 : mood % 7));
        ledger.count("turnWallet", true);
    }

    /// @notice The token refuses to pay somebody; mostly it pays all.
    function turnToken(uint256 who, uint256 mood, uint256 seed) external move {
        address[5] memory others = [
            world.network(),
            world.modelOwner(),
            world.facilitator(),
            world.nodes(0),
            world.nodes(1)
        ];
        address refused = seed % 2 == 0 ? _payer(who) : others[who % 5];
        token.turn(MoodyOPG.Mood(seed % 3 == 0 ? mood % 4 : 0), refused);
        ledger.count("turnToken", true);
    }

    /// @notice Tokens that nobody owes to anybody.
    function donate(uint256 who, uint256 seed) external move {
        address payer = _payer(who);
        uint256 amount = token.balanceOf(payer);
        amount = amount == 0 ? 0 : seed % (amount / 1_000 + 1);
        vm.prank(payer);
        token.transfer(address(escrow), amount);
        ledger.donate(payer, amount);
        ledger.count("donate", amount != 0);
    }

    /// @notice The governor and the model's owner change all that they can.
    function govern(uint256 networkBps, uint256 royaltyBps, uint256 who) external move {
        (IFeePolicy policy, IModelRegistry registry) = (world.policy(), world.registry());
        address recipient = who % 4 == 0 ? _anyone(who) : world.network();
        bytes32 model = world.offer((who >> 8) % 2 == 0 ? 0 : 2).modelId;
        vm.startPrank(world.governor());
        policy.setNetworkBps(uint16(networkBps % 1_001));
        policy.setNetworkRecipient(recipient);
        vm.stopPrank();
        vm.prank(world.modelOwner());
        registry.setRoyaltyBps(model, uint16(royaltyBps % 2_001));
        ledger.count("govern", true);
    }

    /// @notice Anyone takes over what the policy asks for, if the policy may ask for it.
    function syncNetworkBps(uint256 who) external move {
        (bool known, uint16 bps) = world.networkBps();
        (bool success, ) = _send(_anyone(who), abi.encodeCall(escrow.syncNetworkBps, ()));
        bool foretold = known && bps <= 1_000;
        if (success != foretold) ledger.blame(Guarantee.E10, "the network's share is not what the policy may ask");
        if (success) ledger.syncNetworkBps(bps);
        ledger.count("syncNetworkBps", success);
    }

    /// @notice A payer's EIP-2612 signature, good or not: the call never reverts, and says whether it approved.
    function tryPermit(uint256 who, uint256 seed) external move {
        address payer = _keyPayer(who);
        uint256 deadline = seed % 4 == 0 ? block.timestamp - 1 : block.timestamp;
        uint256 value = seed % 8 == 1 ? 0 : type(uint256).max;
        address signer = seed % 4 == 1 ? world.thief() : payer;
        (uint8 v, bytes32 r, bytes32 s) = world.signApproval(signer, payer, value, deadline);
        (bool success, bytes memory answer) = _send(
            _anyone(seed),
            abi.encodeCall(escrow.tryPermit, (payer, value, deadline, v, r, s))
        );
        bool permitted = success && abi.decode(answer, (bool));
        if (!success) ledger.blame(Guarantee.E8, "a permit reverted");
        if (permitted != (seed % 4 > 1)) ledger.blame(Guarantee.E10, "a permit was not as signed");
        if (permitted && token.allowance(payer, address(world.permit2())) != value) {
            ledger.blame(Guarantee.E10, "a permit approved something else");
        }
        ledger.count("tryPermit", permitted);
    }

    /// @notice Governance turns hostile and asks for anything, or nothing answers; mostly it comes back.
    function turnPolicy(uint256 networkBps, uint256 royaltyBps, uint256 seed) external move {
        bool hostile = seed % 4 == 0;
        // Half of the time something that it may ask.
        if (seed % 8 == 0) (networkBps, royaltyBps) = (networkBps % 1_001, royaltyBps % 2_001);
        world.hostilePolicy().setNetworkBps(uint16(networkBps));
        world.hostilePolicy().setNetworkRecipient(_anyone(seed));
        world.hostilePolicy().setReverts((seed >> 8) % 4 == 0);
        world.hostileRegistry().setRoyaltyBps(uint16(royaltyBps));
        world.hostileRegistry().setReverts((seed >> 16) % 4 == 0);
        world.policySwitch().turnTo(hostile ? address(world.hostilePolicy()) : address(world.policy()));
        bool hostileModels = hostile && seed % 3 == 0;
        world.registrySwitch().turnTo(hostileModels ? address(world.hostileRegistry()) : address(world.registry()));
        ledger.count("turnPolicy", true);
    }

    /// @notice Strangers reach for governance, and for calls that the escrow does not have.
    function breakIn(uint256 who, uint256 seed) external move {
        address caller = _anyone(who);
        if (caller == world.governor()) caller = world.thief();
        bytes[5] memory data = [
            abi.encodeWithSignature("transferOwnership(address)", caller),
            abi.encodeWithSignature("pause()"),
            abi.encodeWithSignature("upgradeToAndCall(address,bytes)", caller, ""),
            abi.encodeWithSignature("withdraw(address,uint256)", caller, 1),
            abi.encodePacked(seed)
        ];
        (bool success, ) = _send(caller, data[seed % 5]);
        address policy = address(world.policy());
        vm.prank(caller);
        (bool governs, ) = policy.call(abi.encodeCall(IFeePolicy.setNetworkBps, (uint16(1))));
        ledger.count("breakIn", true);
        _expect(success || governs, false, Guarantee.E10, "a stranger governs, or the escrow has a back door");
    }
}
