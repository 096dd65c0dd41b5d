// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";

import {HostileFeePolicy} from "../../../contracts/dev/mocks/HostileFeePolicy.sol";
import {HostileModelRegistry} from "../../../contracts/dev/mocks/HostileModelRegistry.sol";
import {HostileVerifier} from "../../../contracts/dev/mocks/HostileVerifier.sol";
import {HostileWallet} from "../../../contracts/dev/mocks/HostileWallet.sol";
import {IFeePolicy} from "../../../contracts/interfaces/IFeePolicy.sol";
import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Settlement} from "../../../contracts/types/Settlement.sol";
import {Allocation} from "../../../contracts/types/Slice.sol";
import {Order, SignedOrder, Terms} from "../../../contracts/types/WorkOrder.sol";
import {Artifacts} from "./Artifacts.sol";
import {IPermit2Full} from "./IPermit2Full.sol";
import {HostileFunder} from "./HostileFunder.sol";
import {MoodyOPG} from "./MoodyOPG.sol";
import {Signing} from "./Signing.sol";
import {Switch} from "./Switch.sol";
import {ThriftyWallet} from "./ThriftyWallet.sol";

/// @title World
/// @notice Everything that is not a move: the contracts under test, whoever acts on them, and their keys.
contract World {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 public constant HONEST_OFFERS = 3;
    uint256 public constant HOSTILE_JUDGE = 3;
    uint256 public constant WALLET_NODE = 4;
    /// @notice Offers from here on have no node: their orders are routed.
    uint256 public constant DIRECT_OFFERS = 5;
    uint256 public constant ROUTED = 5;
    uint256 public constant ROUTED_BY_WALLET = 6;
    uint256 public constant OFFERS = 7;
    uint256 public constant PAYERS = 4;
    uint256 public constant KEY_PAYERS = 2;

    IPermit2Full public constant permit2 = IPermit2Full(Artifacts.PERMIT2);

    MoodyOPG public immutable token;
    IInferenceEscrow public immutable escrow;
    IFeePolicy public immutable policy;
    IModelRegistry public immutable registry;
    Switch public immutable policySwitch;
    Switch public immutable registrySwitch;
    HostileFeePolicy public immutable hostilePolicy;
    HostileModelRegistry public immutable hostileRegistry;
    HostileVerifier public immutable hostileVerifier;
    HostileVerifier public immutable yesVerifier;
    bytes32 private immutable _permit2Domain;

    address public immutable governor;
    address public immutable network;
    address public immutable modelOwner;
    address public immutable facilitator;
    /// @notice A smart wallet that routes orders.
    address public immutable router;
    HostileFunder public immutable funder;
    /// @notice A payer that is honest and dear.
    address public immutable thrifty;
    address public immutable sponsor;
    address public immutable thief;
    bytes32 public immutable modelId;

    /// @notice Whoever may hold or be owed tokens.
    address[] public accounts;
    /// @notice Two with keys, a smart wallet with moods, and a key account that delegated to such a wallet (EIP-7702).
    address[] public payers;
    /// @notice Two with keys, and a smart wallet.
    address[] public nodes;

    mapping(address account => uint256) private _keys;
    Terms[] private _offers;

    error WorldBroken();

    constructor() {
        Artifacts.deployPermit2();
        _permit2Domain = permit2.DOMAIN_SEPARATOR();
        token = new MoodyOPG();

        governor = _person("governor");
        network = _person("network");
        modelOwner = _person("modelOwner");
        facilitator = _person("facilitator");
        sponsor = _person("sponsor");
        thief = _person("thief");

        policy = IFeePolicy(Artifacts.deploy("policy/", "FeePolicy", abi.encode(governor, uint16(200), network)));
        registry = IModelRegistry(Artifacts.deploy("policy/", "ModelRegistry", ""));
        policySwitch = new Switch(address(policy));
        registrySwitch = new Switch(address(registry));
        hostilePolicy = new HostileFeePolicy();
        hostileRegistry = new HostileModelRegistry();
        accounts.push(address(hostileRegistry)); // whose models are its own
        router = address(new HostileWallet(token, address(permit2)));
        funder = new HostileFunder(token);
        token.mint(address(funder), 2 ** 110);
        thrifty = address(new ThriftyWallet(token, address(permit2)));
        token.mint(thrifty, 2 ** 110);
        accounts.push(thrifty);
        accounts.push(router);
        accounts.push(address(funder));
        hostileVerifier = new HostileVerifier();
        yesVerifier = new HostileVerifier();
        bytes memory arguments = abi.encode(token, permit2, policySwitch, registrySwitch);
        escrow = IInferenceEscrow(Artifacts.deploy("", "InferenceEscrow", arguments));

        vm.prank(modelOwner);
        modelId = registry.register("model", 500);
        vm.prank(modelOwner);
        bytes32 dearModel = registry.register("dear model", 2_000);

        _settleIn();
        _makeOffers(Artifacts.deploy("verifiers/", "KeyReceiptVerifier", ""), dearModel);
    }

    function offer(uint256 index) external view returns (Terms memory) {
        return _offers[index];
    }

    function accountCount() external view returns (uint256) {
        return accounts.length;
    }

    // ---- what holds at this moment ----

    /// @notice Whether the judge whom an offer names accepts good evidence now. The first three always do.
    function judgeAccepts(uint256 offerIndex) external view returns (bool) {
        if (offerIndex == WALLET_NODE) return signs(nodes[2]);
        if (offerIndex != HOSTILE_JUDGE && offerIndex != ROUTED_BY_WALLET) return true;
        HostileVerifier.Mood mood = hostileVerifier.mood();
        // The bomb's first word is a good answer, and no more is read of it.
        return mood == HostileVerifier.Mood.Accepts || mood == HostileVerifier.Mood.ReturnBomb;
    }

    /// @notice Whether `payer` can pay at all: signatures are another matter.
    function canPay(address payer, uint256 amount) external view returns (bool) {
        return signs(payer) && token.balanceOf(payer) >= amount && token.allowance(payer, address(permit2)) >= amount;
    }

    /// @notice Whether an account signs for what it is asked to: wallets may refuse.
    function signs(address account) public view returns (bool) {
        if (account.code.length == 0) return true;
        HostileWallet.Mood mood = HostileWallet(account).mood();
        return mood == HostileWallet.Mood.Signs || mood == HostileWallet.Mood.ReturnBomb; // as above
    }

    function nonceIsFree(address payer, uint256 nonce) external view returns (bool) {
        return (permit2.nonceBitmap(payer, nonce >> 8) >> (nonce & 0xff)) & 1 == 0;
    }

    /// @notice The share that a model asks for now; `known` is false where the registry does not answer.
    function royaltyBps(bytes32 model) external view returns (bool known, uint16 bps) {
        if (model == 0) return (true, 0);
        try IModelRegistry(address(registrySwitch)).royaltyBps(model) returns (uint16 answer) {
            return (true, answer);
        } catch {
            return (false, 0);
        }
    }

    /// @notice The share that the network asks for now.
    function networkBps() external view returns (bool known, uint16 bps) {
        try IFeePolicy(address(policySwitch)).networkBps() returns (uint16 answer) {
            return (true, answer);
        } catch {
            return (false, 0);
        }
    }

    // ---- signing ----

    function orderId(Terms memory terms, Order memory order) external view returns (bytes32) {
        return Signing.orderId(address(escrow), terms, order);
    }

    /// @notice What `signer` signs for an order: wallets take anything.
    function signOrder(
        address signer,
        Terms memory terms,
        Order memory order,
        uint256 deadline
    ) external view returns (SignedOrder memory) {
        bytes32 digest = Signing.permit(_permit2Domain, address(escrow), address(token), terms, order, deadline);
        return SignedOrder(order, deadline, sign(signer, digest));
    }

    /// @notice Evidence for settlements of one offer by `signer`.
    function signBatch(
        address signer,
        Terms memory terms,
        Settlement[] memory settlements
    ) external view returns (bytes memory) {
        return sign(signer, Signing.batch(address(escrow), terms.node, terms.evidenceKey, settlements));
    }

    /// @notice An EIP-2612 approval of Permit2 for `owner`'s tokens.
    function signApproval(
        address signer,
        address owner,
        uint256 value,
        uint256 deadline
    ) external view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 typeHash = keccak256(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
        );
        bytes32 hash = keccak256(abi.encode(typeHash, owner, permit2, value, token.nonces(owner), deadline));
        return vm.sign(_keys[signer], keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), hash)));
    }

    /// @notice What a facilitator signs to reserve slices.
    function signAllocation(
        address signer,
        bytes32 id,
        Allocation memory allocation
    ) external view returns (bytes memory) {
        return sign(signer, Signing.allocation(address(escrow), id, allocation));
    }

    /// @notice Who signs evidence that counts for an offer.
    function judgeOf(Terms memory terms) external pure returns (address) {
        return terms.evidenceKey == 0 ? terms.node : address(uint160(uint256(terms.evidenceKey)));
    }

    function sign(address signer, bytes32 digest) public view returns (bytes memory) {
        uint256 key = _keys[signer];
        if (key == 0) return new bytes(65);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    // ---- building ----

    function _person(string memory name) private returns (address account) {
        uint256 key = uint256(keccak256(bytes(name)));
        account = vm.addr(key);
        _keys[account] = key;
        accounts.push(account);
        vm.label(account, name);
    }

    /// @dev Payers are rich enough for many orders of the greatest amount.
    function _settleIn() private {
        HostileWallet wallet = new HostileWallet(token, address(permit2));
        HostileWallet nodeWallet = new HostileWallet(token, address(permit2));
        accounts.push(address(wallet));
        accounts.push(address(nodeWallet));
        payers = [_person("alice"), _person("bob"), address(wallet), _person("carol")];
        nodes = [_person("nodeA"), _person("nodeB"), address(nodeWallet)];
        vm.etch(payers[3], abi.encodePacked(hex"ef0100", address(wallet)));

        for (uint256 i = 0; i < payers.length; ++i) {
            token.mint(payers[i], 2 ** 110);
            vm.prank(payers[i]);
            token.approve(address(permit2), type(uint256).max);
        }
        token.mint(sponsor, 2 ** 110);
        vm.prank(sponsor);
        token.approve(address(escrow), type(uint256).max);
    }

    function _makeOffers(address keyVerifier, bytes32 dearModel) private {
        address separateKey = _person("evidenceKey");
        bytes32 evidenceKey = bytes32(uint256(uint160(separateKey)));
        // Everybody has a share, and the escrow itself is the verifier.
        _offers.push(Terms(nodes[0], facilitator, 100, address(escrow), 0, modelId));
        // Nobody but the node and the network has one; the key is not the node's.
        _offers.push(Terms(nodes[0], address(0), 0, keyVerifier, evidenceKey, 0));
        // All shares may reach their caps, and the node facilitates.
        _offers.push(Terms(nodes[1], nodes[1], 2_000, keyVerifier, 0, dearModel));
        _offers.push(Terms(nodes[1], facilitator, 333, address(hostileVerifier), evidenceKey, modelId));
        _offers.push(Terms(nodes[2], facilitator, 100, keyVerifier, 0, bytes32(uint256(1))));
        // Each slice's node has its own key; the escrow itself is the verifier.
        _offers.push(Terms(address(0), facilitator, 250, address(escrow), 0, modelId));
        // A key that the payer pinned, before a hostile judge, routed by a smart wallet.
        _offers.push(Terms(address(0), router, 2_000, address(hostileVerifier), evidenceKey, dearModel));
        if (_offers.length != OFFERS || payers.length != PAYERS) revert WorldBroken();
    }
}
