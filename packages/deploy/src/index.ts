export { check } from './check.js'
export { connect, type Chain } from './chain.js'
export { deployContracts, type DeployOptions, type DeployOutcome } from './deployContracts.js'
export {
  CheckFailedError,
  DeployFailedError,
  type Difference,
  ManifestInvalidError,
  PreflightError,
  RpcError,
  SettingInvalidError,
  WrongChainError,
} from './errors.js'
export { LOCAL_CHAIN_ID, type Network, NETWORKS } from './networks.js'
export { DEV_MNEMONIC, type Parameters, readSettings, type Settings } from './parameters.js'
export { httpRpc, type Rpc } from './rpc.js'
