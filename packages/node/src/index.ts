// ---- payment core ----
export { connectProvider } from '@opg/operator'
export { openEscrowReader, type EscrowReader } from './chain/escrowReader.js'
export type { TransactionSigner } from '@opg/operator'
export { knownCodeHash, teeStanding } from './chain/verifierCode.js'
export { SILENT, type Clock, type LogFields, type Logger, type RandomBytes, type Sleep } from '@opg/operator'
export {
  EvidenceKeyMissingError,
  FeeOverReservationError,
  OrderNotReleasableError,
  ReservationLostError,
} from './errors.js'
export { ChainUnavailableError, KeyUnusableError, LaneLostError, StoreError, WrongChainError } from '@opg/operator'
export { createOrderGate } from './gate/orderGate.js'
export type { GatePolicy } from './gate/policy.js'
export type { AcceptedVerifier } from './receipts/acceptedVerifier.js'
export { acceptKeyVerifier } from './receipts/keyVerifier.js'
export { acceptLostTee } from './receipts/lostTeeVerifier.js'
export { acceptQuorumVerifier, quorumKeyOf, type Quorum, type Validator } from './receipts/quorumVerifier.js'
export { acceptTeeVerifier } from './receipts/teeVerifier.js'
export { acceptVoucherVerifier } from './receipts/voucherVerifier.js'
export { ecdsaSigner } from './receipts/ecdsaSigner.js'
export type { EvidenceSigner } from './receipts/evidenceSigner.js'
export { rsaPssSigner, teeIdOf } from './receipts/rsaPssSigner.js'
export { readApprovalDomain, type ApprovalDomain } from './chain/approvalDomain.js'
export { acceptVerifier, type VerifierOptions } from './service/acceptVerifier.js'
export { openNode, type NodeOptions, type PaymentNode } from './service/openNode.js'
export { createAdmission, type Admission, type AdmissionOptions, type AdmittedRequest } from './service/admission.js'
export { createPaidService, type PaidServiceOptions } from './service/paidService.js'
export { readStatus, type NodeStatus, type OrderStatus } from './service/status.js'
export type {
  CloseAnswer,
  ComputeIo,
  ComputedAnswer,
  OrderAdmission,
  PaidAnswer,
  PaidCall,
  PaidService,
  Refusal,
  RefusalReason,
} from './service/types.js'
export { DEFAULT_SETTLE_POLICY, type SettlePolicy } from './settle/policy.js'
export { createSettler, type SettleReport, type Settler, type SettlerOptions } from './settle/settler.js'
export type { LaneLease, OutboxEntry, OutboxStore } from './store/outboxTypes.js'
export { openSqliteStore, type SqliteStoreOptions } from './store/sqliteStore.js'
export type { ReservedSlice } from './store/reservedSlice.js'
export type { NodeStore, StoredAnswer, StoredOrder } from './store/types.js'
// ---- end of payment core ----
// ---- compute and HTTP ----
export type { ComputeBackend, ComputePath, JsonObject, ModelOffer, PreparedCall } from './compute/backend.js'
export { ComputeError, ModelLoadError, type ComputeErrorCode } from './compute/errors.js'
export { createOnnxBackend, type OnnxOptions } from './compute/onnxBackend.js'
export { createOpenAiUpstream, type OpenAiUpstreamOptions } from './compute/openAiUpstream.js'
export type { NodeInfo, VerifierInfo } from './http/info.js'
export { DEFAULT_HTTP_LIMITS, createNodeServer, type HttpLimits, type NodeServerOptions } from './http/server.js'
export { createCashier, type CashierOptions } from './x402/cashier.js'
export { createFacilitator, type Facilitator, type LockAnswer, type LockRequest } from './x402/facilitator.js'
export type { Quote, Selling, UptoSelling } from './x402/requirements.js'
export type { AcceptedPayment, Acceptance, Cashier, PaymentRefusal, Sale } from './x402/types.js'
export type { PaymentStore, StoredPayment } from './store/paymentTypes.js'
// ---- end of compute and HTTP ----
