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
