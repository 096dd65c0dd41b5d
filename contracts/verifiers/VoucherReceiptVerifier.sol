// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {IReceiptVerifier} from "../interfaces/IReceiptVerifier.sol";
import {IVoucherReceiptVerifier} from "../interfaces/IVoucherReceiptVerifier.sol";
import {ReceiptHash} from "../libraries/ReceiptHash.sol";
import {SignatureCheck} from "../libraries/SignatureCheck.sol";
import {Voucher} from "../types/Receipt.sol";
import {Row} from "../types/Settlement.sol";
import {NodeKey} from "./NodeKey.sol";

/// @title VoucherReceiptVerifier
/// @notice See `IVoucherReceiptVerifier`.
contract VoucherReceiptVerifier is IVoucherReceiptVerifier {
    uint256 private constant SIGNATURE_SIZE = 65;
    /// @dev maxCumulativeFee, in front of a voucher's signature.
    uint256 private constant VOUCHER_HEAD = 12;
    uint256 private constant VOUCHER_SIZE = VOUCHER_HEAD + SIGNATURE_SIZE;

    /// @inheritdoc IReceiptVerifier
    function verify(
        address node,
        bytes32 evidenceKey,
        bytes32 digest,
        Row[] calldata rows,
        bytes calldata evidence
    ) external view returns (bytes4) {
        uint256 expected = SIGNATURE_SIZE + rows.length * VOUCHER_SIZE;
        require(evidence.length == expected, EvidenceLengthWrong(expected, evidence.length));
        address signer = NodeKey.signerOf(evidenceKey, node);
        require(
            SignatureCheck.isSignedByKey(signer, digest, evidence[:SIGNATURE_SIZE]),
            SignatureInvalid(signer, digest)
        );

        bytes calldata vouchers = evidence[SIGNATURE_SIZE:];
        bytes32 domain = IInferenceEscrow(msg.sender).domainSeparator();
        for (uint256 i = 0; i < rows.length; ++i) {
            _requireVoucher(domain, node, rows[i], vouchers[i * VOUCHER_SIZE:(i + 1) * VOUCHER_SIZE]);
        }
        return IReceiptVerifier.verify.selector;
    }

    function _requireVoucher(bytes32 domain, address node, Row calldata row, bytes calldata voucher) private pure {
        if (row.cumulativeFee == 0) return; // takes nothing: the node gives an order or a slice back that nobody used
        uint96 maxCumulativeFee = uint96(bytes12(voucher[:VOUCHER_HEAD]));
        require(
            row.cumulativeFee <= maxCumulativeFee,
            VoucherExceeded(row.orderId, maxCumulativeFee, row.cumulativeFee)
        );
        bytes32 voucherHash = ReceiptHash.voucher(Voucher(row.orderId, node, maxCumulativeFee));
        bytes32 digest = MessageHashUtils.toTypedDataHash(domain, voucherHash);
        require(
            SignatureCheck.isSignedByKey(row.requester, digest, voucher[VOUCHER_HEAD:]),
            VoucherInvalid(row.orderId, row.requester)
        );
    }
}
