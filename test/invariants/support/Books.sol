// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Order} from "../../../contracts/types/WorkOrder.sol";
import {Division} from "./Division.sol";
import {Guarantee} from "./Guarantee.sol";
import {World} from "./World.sol";

/// @dev One order as the ledger knows it. Base units.
struct Entry {
    uint256 offer;
    Order order;
    bytes32 id;
    bool open;
    uint16 networkBps;
    uint16 royaltyBps;
    uint96 released;
    /// @dev Caps of the slices that are not settled.
    uint96 reserved;
    /// @dev The highest total that its judge ever gave evidence for.
    uint96 proven;
    uint256 toNode;
    /// @dev To network, model owner and facilitator together.
    uint256 toOthers;
    uint256 refunded;
    /// @dev Opened by the payer's own signature.
    bool byPermit;
}

/// @dev One row of a settlement. `entry` is `Books.NONE` where the order was never opened.
struct Step {
    uint256 entry;
    uint96 cumulativeFee;
    uint64 receiptCount;
    bool close;
}

/// @title Books
/// @notice The books of a run for orders and accounts, kept by the rules of docs/SPEC.md without asking the escrow: what every account should
/// have and be owed, and what every order should hold. Handlers say what they saw succeed; where that is not what the
/// rules foretold they blame a guarantee.
abstract contract Books {
    using Division for Division.Shares;

    uint256 public constant NONE = type(uint256).max;

    World internal immutable _world;

    Entry[] internal _entries;
    mapping(uint256 offer => uint256[]) private _byOffer;
    mapping(bytes32 id => uint256) private _placeOf; // plus one
    mapping(bytes32 permit => bool) private _used;
    mapping(Guarantee => string) private _blame;

    mapping(address account => uint256) public balance;
    mapping(address account => uint256) public credit;
    /// @notice What others sent an account: transfers, and claims of credits that were not its own.
    mapping(address account => uint256) public given;
    mapping(bytes32 modelId => uint256) public royalty;
    uint256 public networkCredit;
    /// @notice What the network earned through an account, and nobody collected yet.
    mapping(address account => uint256) public networkWith;
    /// @notice The network's share of orders that open, as last taken over from the policy.
    uint16 public networkBps = 200;
    /// @notice The highest totals that a node's judges ever gave evidence for, in sum.
    mapping(address node => uint256) public provenFor;
    uint256 public donated;
    uint256 public opened;
    uint256 public refunded;
    /// @notice Refunds that the token refused to pay (F14).
    uint256 public refundsCredited;
    uint256 public claimed;
    uint256 public nextNonce;

    /// @notice The time, kept here so that it does not depend on what a test runner keeps between calls.
    uint256 public clock = 1_800_000_000;
    /// @notice The order that the last call was about.
    uint256 public touched;

    mapping(bytes32 move => uint256) public tried;
    mapping(bytes32 move => uint256) public done;

    constructor(World world) {
        _world = world;
        for (uint256 i = 0; i < world.accountCount(); ++i) {
            address account = world.accounts(i);
            balance[account] = world.token().balanceOf(account);
        }
    }

    // ---- what went wrong, and what was done ----

    function blame(Guarantee guarantee, string calldata what) external {
        if (bytes(_blame[guarantee]).length == 0) _blame[guarantee] = what;
    }

    /// @notice The first thing that a handler saw and the guarantee forbids; empty if there was none.
    function blamed(Guarantee guarantee) external view returns (string memory) {
        return _blame[guarantee];
    }

    function count(bytes32 move, bool did) external {
        ++tried[move];
        if (did) ++done[move];
    }

    // ---- time and chance ----

    function advance(uint256 to) external {
        if (to > clock) clock = to;
    }

    function takeNonce() external returns (uint256) {
        return nextNonce++;
    }

    // ---- orders ----

    function entryCount() external view returns (uint256) {
        return _entries.length;
    }

    function entry(uint256 index) external view returns (Entry memory) {
        return _entries[index];
    }

    function entries() external view returns (Entry[] memory) {
        return _entries;
    }

    function countOf(uint256 offer) external view returns (uint256) {
        return _byOffer[offer].length;
    }

    function entryOf(uint256 offer, uint256 index) external view returns (uint256) {
        return _byOffer[offer][index];
    }

    function left(uint256 index) public view returns (uint256) {
        Entry storage e = _entries[index];
        return e.open ? e.order.amount - e.released : 0;
    }

    function isKnown(bytes32 id) external view returns (bool) {
        return _placeOf[id] != 0;
    }

    /// @notice An order opened; `from` paid for it.
    function open(uint256 offer, Order calldata order, bytes32 id, address from, bool byPermit) external {
        if (_placeOf[id] != 0) _note(Guarantee.E5, "an order opened twice");
        if (byPermit) {
            bytes32 permit = keccak256(abi.encode(order.payer, order.nonce));
            if (_used[permit]) _note(Guarantee.E5, "one permit opened two orders");
            _used[permit] = true;
        }
        Entry storage e = _entries.push();
        e.offer = offer;
        e.order = order;
        e.id = id;
        e.open = true;
        e.byPermit = byPermit;
        e.networkBps = networkBps;
        (, e.royaltyBps) = _world.royaltyBps(_world.offer(offer).modelId);
        _placeOf[id] = _entries.length;
        _byOffer[offer].push(_entries.length - 1);
        touched = _entries.length - 1;

        _take(from, order.amount);
        opened += order.amount;
    }

    /// @notice Good evidence was made for a total: from now on so much may be released, and not before.
    function prove(uint256 index, uint96 cumulativeFee) external {
        if (index == NONE) return;
        Entry storage e = _entries[index];
        if (cumulativeFee <= e.proven) return;
        provenFor[_world.offer(e.offer).node] += cumulativeFee - e.proven;
        e.proven = cumulativeFee;
    }

    /// @notice Settles rows of one offer, as the rules say. @return settled rows that counted
    function settle(uint256 offer, Step[] calldata steps, bool withClaim) external returns (uint256 settled) {
        address node = _world.offer(offer).node;
        address facilitator = _world.offer(offer).facilitator;
        bytes32 modelId = _world.offer(offer).modelId;
        uint256 facilitatorBps = _world.offer(offer).facilitatorBps;

        Division.Shares memory shares;
        for (uint256 i = 0; i < steps.length; ++i) {
            if (!takes(steps[i])) continue;
            ++settled;
            _settleStep(steps[i], shares, facilitatorBps);
        }
        shares.divide(facilitatorBps);
        credit[facilitator] += shares.facilitator;
        credit[node] += shares.node;
        networkWith[node] += shares.network;
        royalty[modelId] += shares.royalty;
        if (withClaim) _pay(node, node);
    }

    /// @notice Whether a row counts, at this time and after what came before it.
    function takes(Step calldata step) public view returns (bool) {
        if (step.entry == NONE) return false;
        Entry storage e = _entries[step.entry];
        if (!e.open || clock >= e.order.claimBy) return false;
        if (step.cumulativeFee > e.order.amount || step.cumulativeFee < e.released) return false;
        if (step.cumulativeFee == e.released && !step.close) return false;
        return e.order.job.requestHash == 0 || (step.close && step.receiptCount <= 1);
    }

    /// @notice An order closed without evidence: the rest is its payer's.
    function close(uint256 index) external {
        _refund(_entries[index]);
        touched = index;
    }

    // ---- payouts and other movements ----

    /// @notice Whether orders of a model can be opened now.
    function canOpen(bytes32 modelId) external view returns (bool) {
        (bool known, uint16 bps) = _world.royaltyBps(modelId);
        return known && bps <= 2_000;
    }

    function syncNetworkBps(uint16 bps) external {
        networkBps = bps;
    }

    function collect(address account) external {
        networkCredit += networkWith[account];
        networkWith[account] = 0;
    }

    /// @notice Whether a claim can be paid: where nothing is due nothing is transferred.
    function canPayOut(uint256 due, address to) external view returns (bool) {
        return due == 0 || _world.token().pays(to);
    }

    function claim(address account, address to) external {
        _pay(account, to);
    }

    function claimRoyalty(bytes32 modelId, address to) external {
        given[to] += royalty[modelId];
        balance[to] += royalty[modelId];
        claimed += royalty[modelId];
        royalty[modelId] = 0;
    }

    function claimNetwork(address to) external {
        given[to] += networkCredit;
        balance[to] += networkCredit;
        claimed += networkCredit;
        networkCredit = 0;
    }

    function mint(address to, uint256 amount) external {
        balance[to] += amount;
        given[to] += amount;
    }

    function donate(address from, uint256 amount) external {
        _take(from, amount);
        donated += amount;
    }

    function transfer(address from, address to, uint256 amount) external {
        _take(from, amount);
        balance[to] += amount;
        given[to] += amount;
    }

    // ---- inside ----

    function _settleStep(Step calldata step, Division.Shares memory shares, uint256 facilitatorBps) private {
        Entry storage e = _entries[step.entry];
        uint256 node = shares.add(e.networkBps, e.royaltyBps, facilitatorBps, e.released, step.cumulativeFee);
        e.toNode += node;
        e.toOthers += step.cumulativeFee - e.released - node;
        e.released = step.cumulativeFee;
        if (step.close) _refund(e);
        // An order of 2^96 - 1 that is released in full reads as closed, and is: nothing is left in it.
        if (e.released == type(uint96).max) e.open = false;
        touched = step.entry;
    }

    /// @dev Where the token refuses, the account is owed (F14).
    function _transferOrCredit(address account, uint256 amount) internal returns (bool paid) {
        paid = _world.token().pays(account);
        if (paid) balance[account] += amount;
        else credit[account] += amount;
    }

    function _refund(Entry storage e) private {
        uint256 rest = e.order.amount - e.released;
        e.refunded += rest;
        e.open = false;
        bool paid = _transferOrCredit(e.order.payer, rest);
        if (paid) refunded += rest;
        else refundsCredited += rest;
    }

    /// @dev Where the escrow broke a rule an account may have more than it should: the books go on, and disagree.
    function _take(address from, uint256 amount) private {
        unchecked {
            balance[from] -= amount;
        }
    }

    function _pay(address account, address to) internal {
        networkCredit += networkWith[account];
        networkWith[account] = 0;
        balance[to] += credit[account];
        if (to != account) given[to] += credit[account];
        claimed += credit[account];
        credit[account] = 0;
    }

    function _note(Guarantee guarantee, string memory what) internal {
        if (bytes(_blame[guarantee]).length == 0) _blame[guarantee] = what;
    }
}
