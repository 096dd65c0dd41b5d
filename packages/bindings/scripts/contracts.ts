/** What the package exports of the compiled contracts. */
export const CONTRACTS: readonly { readonly source: string; readonly name: string; readonly abiName: string }[] = [
  { source: 'contracts/InferenceEscrow.sol', name: 'InferenceEscrow', abiName: 'inferenceEscrowAbi' },
  { source: 'contracts/policy/FeePolicy.sol', name: 'FeePolicy', abiName: 'feePolicyAbi' },
  { source: 'contracts/policy/ModelRegistry.sol', name: 'ModelRegistry', abiName: 'modelRegistryAbi' },
  { source: 'contracts/policy/ValidatorPool.sol', name: 'ValidatorPool', abiName: 'validatorPoolAbi' },
  {
    source: 'contracts/verifiers/KeyReceiptVerifier.sol',
    name: 'KeyReceiptVerifier',
    abiName: 'keyReceiptVerifierAbi',
  },
  {
    source: 'contracts/verifiers/TeeReceiptVerifier.sol',
    name: 'TeeReceiptVerifier',
    abiName: 'teeReceiptVerifierAbi',
  },
  {
    source: 'contracts/verifiers/VoucherReceiptVerifier.sol',
    name: 'VoucherReceiptVerifier',
    abiName: 'voucherReceiptVerifierAbi',
  },
  {
    source: 'contracts/verifiers/QuorumReceiptVerifier.sol',
    name: 'QuorumReceiptVerifier',
    abiName: 'quorumReceiptVerifierAbi',
  },
  {
    source: 'contracts/verifiers/GatewayReceiptVerifier.sol',
    name: 'GatewayReceiptVerifier',
    abiName: 'gatewayReceiptVerifierAbi',
  },
  { source: 'contracts/adapters/UptoAdapter.sol', name: 'UptoAdapter', abiName: 'uptoAdapterAbi' },
  { source: 'contracts/adapters/UptoDesk.sol', name: 'UptoDesk', abiName: 'uptoDeskAbi' },
  { source: 'contracts/dev/DevUptoProxy.sol', name: 'DevUptoProxy', abiName: 'devUptoProxyAbi' },
  { source: 'contracts/dev/DevOPG.sol', name: 'DevOPG', abiName: 'devOpgAbi' },
  { source: 'contracts/dev/DevTEERegistry.sol', name: 'DevTEERegistry', abiName: 'devTeeRegistryAbi' },
  { source: 'contracts/interfaces/IReceiptVerifier.sol', name: 'IReceiptVerifier', abiName: 'receiptVerifierAbi' },
  { source: 'contracts/interfaces/ITEERegistry.sol', name: 'ITEERegistry', abiName: 'teeRegistryAbi' },
  {
    source: '@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol',
    name: 'IERC20Metadata',
    abiName: 'erc20Abi',
  },
  {
    source: '@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol',
    name: 'IERC20Permit',
    abiName: 'erc20PermitAbi',
  },
]
