export {
  amount,
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
export { createLogger, type LogSettings } from './logger.js'
export { connectProvider } from './provider.js'
export { Secret } from './secret.js'
export {
  createSender,
  type GasEstimate,
  type GasFees,
  type Sender,
  type SignedTransaction,
  type TransactionSigner,
} from './sender.js'
