// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {IOrderFunder} from "../interfaces/IOrderFunder.sol";
import {IPermit2} from "../interfaces/IPermit2.sol";
import {IUptoAdapter} from "../interfaces/IUptoAdapter.sol";
import {IUptoProxy} from "../interfaces/IUptoProxy.sol";
import {OrderHash} from "../libraries/OrderHash.sol";
import {Order, Terms} from "../types/WorkOrder.sol";
import {UptoDesk} from "./UptoDesk.sol";

/// @title UptoAdapter
contract UptoAdapter is IUptoAdapter {
    bytes32 private constant OFFER_TYPEHASH = keccak256(
        "Offer(Terms terms,uint32 claimWindow)Terms(address node,address facilitator,uint16 facilitatorBps,address verifier,bytes32 evidenceKey,bytes32 modelId)"
    );

    /// @inheritdoc IUptoAdapter
    IUptoProxy public constant PROXY = IUptoProxy(0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002);
    /// @inheritdoc IUptoAdapter
    // A constant would be computed anew at each use.
    bytes32 public immutable DESK_INIT_CODE_HASH = keccak256(type(UptoDesk).creationCode);

    /// @inheritdoc IUptoAdapter
    address public immutable ESCROW;
    address private immutable TOKEN;

    constructor(IInferenceEscrow escrow) {
        ESCROW = address(escrow);
        TOKEN = address(escrow.TOKEN());
    }

    /// @inheritdoc IOrderFunder
    function fund(bytes32, Terms calldata terms, Order calldata order, bytes calldata data) external {
        require(msg.sender == ESCROW, CallerNotEscrow(msg.sender));
        address payer = order.payer;
        require(
            order.job.requester == payer && order.job.requestHash == 0,
            JobNotOffered(order.job.requester, order.job.requestHash)
        );
        (uint32 claimWindow, uint256 validAfter, bytes memory signature) = abi.decode(data, (uint32, uint256, bytes));
        require(order.claimBy >= claimWindow, ClaimByTooEarly(order.claimBy, claimWindow));

        bytes32 salt = _offerHash(terms, claimWindow);
        address desk = _deskAt(salt);
        if (desk.code.length == 0) new UptoDesk{salt: salt}();
        IUptoProxy(desk).settle(
            IPermit2.PermitTransferFrom({
                permitted: IPermit2.TokenPermissions({token: TOKEN, amount: order.amount}),
                nonce: order.nonce,
                deadline: order.claimBy - claimWindow
            }),
            order.amount,
            payer,
            IUptoProxy.Witness({to: ESCROW, facilitator: desk, validAfter: validAfter}),
            signature
        );
    }

    /// @inheritdoc IUptoAdapter
    function deskOf(Terms calldata terms, uint32 claimWindow) external view returns (address desk) {
        return _deskAt(_offerHash(terms, claimWindow));
    }

    function _offerHash(Terms calldata terms, uint32 claimWindow) private pure returns (bytes32) {
        return keccak256(abi.encode(OFFER_TYPEHASH, OrderHash.terms(terms), claimWindow));
    }

    function _deskAt(bytes32 salt) private view returns (address) {
        bytes32 hash = keccak256(abi.encodePacked(hex"ff", address(this), salt, DESK_INIT_CODE_HASH));
        return address(uint160(uint256(hash)));
    }
}
