export {
  amount,
  asStoreError,
  bytes,
  Database,
  hex,
  IN_MEMORY,
  integer,
  optionalInteger,
  optionalText,
  text,
  type Bindable,
  type Row,
} from './database.js'
export { SILENT, type Clock, type LogFields, type Logger, type RandomBytes, type Sleep } from './edge.js'
export {
  ChainUnavailableError,
  ConfigError,
  KeyUnusableError,
  LaneLostError,
  StoreError,
  WrongChainError,
} from './errors.js'
export {
  createFollower,
  SURE_AFTER_MS,
  withMargin,
  type Follower,
  type FollowPolicy,
  type SignedAttempt,
  type Whereabouts,
  type WrittenTransaction,
} from './follower.js'
export {
  CommandRefusedError,
  EXIT,
  WaitEndedError,
  exitHelp,
  failureOf,
  type ExitCode,
  type Failure,
} from './cli/exitCodes.js'
export { countOf, print, processEdge, waitForStop, type CliEdge } from './cli/edge.js'
export { gasMoneyLine, warnOfGasMoney } from './cli/gasMoney.js'
export { drain, listen, type HttpServer } from './cli/serving.js'
export { findDeployment } from './config/deployment.js'
export * as fields from './config/fields.js'
export { givenIn, readKeyFile, readPrivateKey } from './config/privateKey.js'
export { readSettings, type Environment } from './config/readSettings.js'
export { findStrangers, warnOfStrangers, type Stranger } from './config/strangers.js'
export { settingsHelp, type Setting, type SettingTable, type SettingsOf } from './config/settings.js'
export { errorFields } from './errorFields.js'
export { refusedRequest, type ErrorText, type RefusedRequest } from './http/refusedRequest.js'
export { createLogger, type LogSettings } from './logger.js'
export { connectProvider } from './provider.js'
export { Secret } from './secret.js'
export {
  createSender,
  type CallOutcome,
  type GasEstimate,
  type GasFees,
  type Sender,
  type SignedTransaction,
  type TransactionSigner,
} from './sender.js'
