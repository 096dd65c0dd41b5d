import '@nomicfoundation/hardhat-toolbox'
import { TASK_COMPILE_GET_REMAPPINGS, TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD } from 'hardhat/builtin-tasks/task-names'
import { type HardhatUserConfig, subtask } from 'hardhat/config'
import type { NetworksUserConfig, SolcBuild } from 'hardhat/types'
import { createRequire } from 'node:module'

const requireFrom = createRequire(__filename)

/** The npm packages that carry the compilers, by version. Nothing is ever downloaded. */
const SOLC_PACKAGES: Readonly<Record<string, string>> = { '0.8.30': 'solc', '0.8.17': 'solc-permit2' }

subtask(TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD, (args: { solcVersion: string }): Promise<SolcBuild> => {
  const packageName = SOLC_PACKAGES[args.solcVersion]
  if (packageName === undefined) {
    throw new Error(`No npm package carries solc ${args.solcVersion}: expected one of ${Object.keys(SOLC_PACKAGES).join(', ')}`)
  }
  const compiler = requireFrom(packageName) as { version(): string }
  return Promise.resolve({
    version: args.solcVersion,
    // Block explorers know the release by this name, without the suffix of the JavaScript build.
    longVersion: compiler.version().replace('.Emscripten.clang', ''),
    compilerPath: requireFrom.resolve(`${packageName}/soljson.js`),
    isSolcJs: true,
  })
})

// Permit2's source names its own copy of solmate.
subtask(TASK_COMPILE_GET_REMAPPINGS, () =>
  Promise.resolve({ 'solmate/': '@uniswap/v4-periphery/lib/permit2/lib/solmate/' }),
)

/** The networks that `npm run deploy` knows; URL and key come from the environment, never from arguments. */
function publicNetworks(): NetworksUserConfig {
  const key = process.env.DEPLOYER_PRIVATE_KEY
  const accounts = key === undefined || key === '' ? [] : [key]
  return {
    opengradientTestnet: {
      url: process.env.OPENGRADIENT_TESTNET_RPC_URL ?? 'https://ogevmdevnet.opengradient.ai',
      accounts,
    },
    base: { url: process.env.BASE_RPC_URL ?? 'https://mainnet.base.org', accounts },
    baseSepolia: { url: process.env.BASE_SEPOLIA_RPC_URL ?? 'https://sepolia.base.org', accounts },
    localhost: { url: process.env.LOCAL_RPC_URL ?? 'http://127.0.0.1:8545' },
  }
}

const config: HardhatUserConfig = {
  solidity: {
    compilers: [
      {
        version: '0.8.30',
        settings: { viaIR: true, optimizer: { enabled: true, runs: 1_000_000 }, evmVersion: 'prague', metadata: { bytecodeHash: 'ipfs' } },
      },
      {
        // Exactly the settings that put Permit2 on its canonical address.
        version: '0.8.17',
        settings: { viaIR: true, optimizer: { enabled: true, runs: 1_000_000 }, metadata: { bytecodeHash: 'none' } },
      },
    ],
  },
  networks: { hardhat: { hardfork: 'prague', allowUnlimitedContractSize: false }, ...publicNetworks() },
  paths: { sources: 'contracts', tests: 'test', cache: 'cache', artifacts: 'artifacts', ignition: 'packages/deploy/ignition' },
  typechain: { outDir: 'packages/bindings/src/generated/typechain', target: 'ethers-v6', node16Modules: true },
}

export default config
