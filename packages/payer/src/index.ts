export { allocateSlices, type SliceAllocation } from './allocateSlices.js'
export { approveEscrow } from './approveEscrow.js'
export { approvePermit2 } from './approvePermit2.js'
export { askGateway, type GatewayAnswered } from './askGateway.js'
export type { Approval } from './approveSpender.js'
export type { Answer, PreparedCall, Refused, StreamEvent } from './call.js'
export { contentLines } from './answerStream.js'
export { createSession, type SessionOptions } from './createSession.js'
export {
  createWorkOrder,
  describeOrder,
  orderIdOf,
  type PreparedOrder,
  type WorkOrderInput,
} from './createWorkOrder.js'
export {
  ApprovalFailedError,
  ChainUnavailableError,
  ContractNotFoundError,
  FraudFoundError,
  NodeAnswerError,
  NodeUnavailableError,
  NonceNotFoundError,
  PermitUnsupportedError,
  ReceiptInvalidError,
  ReceiptLogError,
  SignerMismatchError,
  StreamInterruptedError,
  TeeKeyError,
} from './errors.js'
export { readEscrow, type EscrowInfo } from './escrowInfo.js'
export {
  gatewayEvidence,
  isSignedBy,
  keyEvidence,
  learnKey,
  namesOwner,
  ownedTeeEvidence,
  quorumEvidence,
  teeEvidence,
  type Evidence,
} from './evidence.js'
export {
  fetchSettlements,
  fetchSliceSettlements,
  type SettledEvent,
  type SliceSettledEvent,
} from './fetchSettlements.js'
export { fetchTeeKey, type TeeKey } from './fetchTeeKey.js'
export type { FraudProof } from './fraud.js'
export {
  openGasless,
  prepareGaslessStart,
  signGaslessStart,
  type GaslessStart,
  type PreparedPermit,
  type SignedPermit,
} from './gaslessStart.js'
export { checkGatewayAnswer, createGatewayOrder, type GatewayOrder } from './gatewayOrder.js'
export type { GatewayAnswer } from '@opg/protocol'
export type { SettlementCheck } from './judgeSettlement.js'
export { nextPermit2Nonce } from './nextPermit2Nonce.js'
export type { HttpOptions } from './nodeHttp.js'
export { DEFAULT_GAS_PER_ORDER, openBatch, type BatchOpening, type BatchedOpening } from './openBatch.js'
export { openFunded } from './openFunded.js'
export { openOrder } from './openOrder.js'
export { openVia } from './openVia.js'
export { orderStatus, type OrderStatus } from './orderStatus.js'
export {
  prepareAllocation,
  type AllocationInput,
  type PreparedAllocation,
  type RoutedSlice,
} from './prepareAllocation.js'
export { openReceiptBook, type BookAudit, type BookEntry, type BookOptions, type ReceiptBook } from './receiptBook.js'
export { fileReceiptLog, memoryReceiptLog, type ReceiptLog } from './receiptLog.js'
export { reclaim, reclaimMany, type OrderWithTerms, type Reclaim } from './reclaim.js'
export { releaseRouted, type RoutedRelease } from './releaseRouted.js'
export { requestClose } from './requestClose.js'
export { routedStatus, type AllocationStatus, type RoutedStatus } from './routedStatus.js'
export {
  createRequestSigner,
  type RequestSigner,
  type RequestSignerOptions,
  type SpendLimits,
} from './requestSigner.js'
export type { CallOptions, Session } from './session.js'
export type { Opening } from './sendOpening.js'
export {
  DEFAULT_GAS_PER_SLICE,
  settleSlices,
  type AllocatedOrder,
  type SliceOutcome,
  type SliceSettling,
} from './settleSlices.js'
export { signAllocation } from './signAllocation.js'
export { signVoucher } from './signVoucher.js'
export { signWorkOrder } from './signWorkOrder.js'
export { syncReceipts } from './syncReceipts.js'
export { admissionOf, type OrderOrSlice, type SliceGrant } from './tab.js'
export { verifyFraud, type FraudVerdict } from './verifyFraud.js'
export { waitForReceipt } from './waitForReceipt.js'
export { watchOrder } from './watchOrder.js'
