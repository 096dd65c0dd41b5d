export { attachDevnet, type Devnet, type DevnetAddress, type DevnetContracts, startDevnet } from './devnet.js'
export { devWallets } from './devWallets.js'
export { AnvilMissingError, AnvilStartError, SnapshotUnknownError } from './errors.js'
export { type Anvil, type AnvilOptions, startAnvil } from './startAnvil.js'
