// engine
export { createEngine, type EngineOptions } from './engine/createEngine.js'
export { DEFAULT_ENGINE_POLICY, type EnginePolicy } from './engine/policy.js'
export { openEngineStore, type EngineStoreOptions } from './engine/store/engineStore.js'
export { openPostgres } from './engine/store/postgres.js'
export { openSqlite } from './engine/store/sqlite.js'
export type { SqlDatabase } from './engine/store/sql.js'
export type { EngineStore } from './engine/store/types.js'
export type {
  BookedOrder,
  Capture,
  CaptureOutcome,
  Eip2612Approval,
  Engine,
  EngineStatus,
  Funding,
  LockOutcome,
  Opening,
} from './engine/types.js'

// service
export { createFacilitatorService, type FacilitatorOptions, type FacilitatorService } from './service.js'
export type { SettleAnswer, VerifyAnswer } from './service.js'
export { uptoScheme, workOrderScheme, type FacilitatorScheme } from './scheme.js'
export type { ChainReader, PayerState, SimulatedCapture, SimulatedOpening } from './verify/chainReader.js'
export { networkOf, type Deployed } from './verify/deployed.js'
export { openDeployed } from './verify/openDeployed.js'
export type { OfferPolicy } from './verify/policy.js'
export { REASONS, type ReachedLimit, type Reason } from './verify/reasons.js'
export { createRpcReader } from './verify/rpcReader.js'
export { EIP2612_EXTENSION } from '@opg/protocol'
export { createHealth, type Health, type HealthLimits } from './http/health.js'
export { createMetrics, type Metrics } from './http/metrics.js'
export {
  createFacilitatorServer,
  supportedBody,
  type FacilitatorServerOptions,
  type HttpLimits,
} from './http/server.js'
