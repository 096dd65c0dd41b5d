import '@nomicfoundation/hardhat-toolbox'
import { TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD } from 'hardhat/builtin-tasks/task-names'
import { type HardhatUserConfig, subtask } from 'hardhat/config'
import type { SolcBuild } from 'hardhat/types'
import { createRequire } from 'node:module'

const requireFrom = createRequire(__filename)

const SOLC_VERSION = '0.8.30'

/** The compiler comes from npm's `solc`: nothing is ever downloaded. */
subtask(TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD, (args: { solcVersion: string }): Promise<SolcBuild> => {
  if (args.solcVersion !== SOLC_VERSION) {
    throw new Error(`npm's solc is ${SOLC_VERSION}, and a contract asks for ${args.solcVersion}: change its pragma`)
  }
  const compiler = requireFrom('solc') as { version(): string }
  return Promise.resolve({
    version: args.solcVersion,
    // Block explorers know the release by this name, without the suffix of the JavaScript build.
    longVersion: compiler.version().replace('.Emscripten.clang', ''),
    compilerPath: requireFrom.resolve('solc/soljson.js'),
    isSolcJs: true,
  })
})

const config: HardhatUserConfig = {
  solidity: {
    version: SOLC_VERSION,
    settings: { viaIR: true, optimizer: { enabled: true, runs: 10_000 }, evmVersion: 'prague' },
  },
  networks: { hardhat: { hardfork: 'prague' } },
  paths: { sources: 'contracts', tests: 'test', cache: 'cache', artifacts: 'artifacts' },
  typechain: { outDir: 'packages/bindings/src/generated/typechain', target: 'ethers-v6', node16Modules: true },
}

export default config
