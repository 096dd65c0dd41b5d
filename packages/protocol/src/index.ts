export { checksumAddress } from './address.js'
export { formatOpg, parseBaseUnits, parseOpg } from './amounts.js'
export {
  parseAddress,
  parseArray,
  parseBool,
  parseBytes,
  parseBytes32,
  parseObject,
  parseSmallUint,
  parseUint,
  toWire,
  type Reader,
  type Wire,
} from './codec.js'
export { canonicalJson } from './canonicalJson.js'
export {
  BPS,
  CHAIN_IDS,
  DETERMINISTIC_DEPLOYER,
  MAX_CLAIM_WINDOW_SECONDS,
  MAX_FACILITATOR_BPS,
  MAX_NETWORK_BPS,
  MAX_ROYALTY_BPS,
  MAX_UINT96,
  OPENGRADIENT_NATIVE_TOKEN,
  OPG_DECIMALS,
  OPG_TOKENS,
  PERMIT2,
  PERMIT2_SALT,
  TEE_PRECOMPILE,
  TEE_REGISTRY,
  ZERO_ADDRESS,
  ZERO_BYTES32,
} from './constants.js'
export { requestHash, requestHasher, responseHash, responseHasher, type ContentHasher } from './contentHash.js'
export {
  domainSeparator,
  escrowDomain,
  structDigest,
  typedData,
  typedDigest,
  type TypedData,
  type TypedDomain,
} from './domain.js'
export { InvalidInputError } from './errors.js'
export {
  gatewayDigest,
  gatewayInputHash,
  gatewayLeaf,
  gatewayOutputHash,
  gatewayReference,
  gatewayReferenceOf,
  gatewayText,
  withGatewayReference,
  type GatewayReceipt,
  type GatewayRequest,
} from './gateway.js'
export { parseGatewayAnswer, type GatewayAnswer } from './gatewayAnswer.js'
export { hashStruct, typeHash } from './hashStruct.js'
export {
  MAX_HEADER_LENGTH,
  RECEIPT_EVENT,
  RECEIPT_HEADER,
  REQUEST_HEADER,
  VOUCHER_HEADER,
  decodeReceiptEvent,
  decodeReceiptHeader,
  decodeRequestHeader,
  decodeVoucherHeader,
  encodeReceiptEvent,
  encodeReceiptHeader,
  encodeRequestHeader,
  encodeVoucherHeader,
} from './headers.js'
export { modelId, orderId, orderSeed, requestId, termsHash, workOrderHash, workOrderOf } from './ids.js'
export {
  EMPTY_ROOT,
  EMPTY_TREE,
  appendLeaf,
  leafHash,
  nodeHash,
  packTree,
  rootOfLeaves,
  treeRoot,
  unpackTree,
  type MerkleTree,
} from './merkle.js'
export {
  consistencyProof,
  inclusionProof,
  verifyConsistency,
  verifyInclusion,
  type ConsistencyClaim,
  type InclusionClaim,
} from './merkleProofs.js'
export {
  MAX_SIGNATURE_BYTES,
  parseAllocation,
  parseCloseRequest,
  parseInferenceReceipt,
  parseInferenceRequest,
  parseOrder,
  parsePriceSheet,
  parseSettlement,
  parseSignedOrder,
  parseSignedReceipt,
  parseSignedRequest,
  parseSignedVoucher,
  parseSlice,
  parseTerms,
  parseVoucher,
} from './parse.js'
export {
  WITNESS_TYPE_STRING,
  permit2DomainSeparator,
  workOrderPermit,
  workOrderPermitDigest,
  type WorkOrderPermit,
} from './permit.js'
export { computeFee, quoteMaxFee, type PriceSheet, type TokenUsage } from './prices.js'
export { quorumKey, type Quorum } from './quorum.js'
export { receiptDigest, receiptLeaf } from './receipt.js'
export { sharesOf, type FeeShares, type ShareRates } from './shares.js'
export {
  MAX_SLICES,
  allocationId,
  allocationRoot,
  combineSliceProofs,
  createAllocation,
  sliceId,
  sliceLeaf,
  sliceProof,
  verifySliceProof,
  type SliceTree,
} from './slices.js'
export { recoverSigner } from './signature.js'
export { TYPES, encodeType, type StructName, type StructValues, type TypedField } from './structs.js'
export type {
  Address,
  Allocation,
  CloseRequest,
  EscrowContext,
  Hex,
  InferenceReceipt,
  InferenceRequest,
  Job,
  Order,
  ReceiptSigner,
  SettleRow,
  Settlement,
  SettlementBatch,
  SignedOrder,
  SignedReceipt,
  SignedRequest,
  SignedVoucher,
  Slice,
  SliceHolder,
  SliceRow,
  Terms,
  Voucher,
  WorkOrder,
} from './types.js'
export { parseDeployment, type Deployment } from './deployment.js'
export {
  UPTO_PROXY,
  deskAddress,
  offerHash,
  uptoDigest,
  uptoFundingData,
  uptoOrder,
  uptoTypedData,
} from './x402/offers.js'
export { EIP2612_EXTENSION, SPONSORED_APPROVAL } from './x402/sponsoredApproval.js'
export {
  MAX_EVIDENCE_BYTES,
  SELLER_MEMBER,
  parseOffer,
  parseSellerStep,
  parseSettledExtra,
  parseUptoExtra,
  parseUptoPayment,
  parseWorkOrderExtra,
  parseWorkOrderPayment,
} from './x402/parse.js'
export type {
  CaptureStep,
  LockAttempt,
  LockStep,
  Offer,
  SellerStep,
  SettledExtra,
  UptoAuthorization,
  UptoExtra,
  UptoPayment,
  WorkOrderExtra,
  WorkOrderPayment,
  WorkOrderPermitSignature,
} from './x402/types.js'
