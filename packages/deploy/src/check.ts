import {
  type ContractName,
  DevOPG__factory,
  FeePolicy__factory,
  InferenceEscrow__factory,
  GatewayReceiptVerifier__factory,
  isCodeOf,
  type Deployment,
  TeeReceiptVerifier__factory,
  UptoAdapter__factory,
  UptoDesk__factory,
} from '@opg/bindings'
import { OPG_DECIMALS, PERMIT2 } from '@opg/protocol'
import { keccak256 } from 'ethers'
import type { Chain } from './chain.js'
import { CheckFailedError, type Difference } from './errors.js'
import type { Parameters } from './parameters.js'

/**
 * Reads back code, immutables, owner and shares, and compares them with the manifest and the parameters.
 *
 * @throws {CheckFailedError} with all that differs
 */
export async function check(chain: Chain, deployment: Deployment, parameters: Parameters): Promise<void> {
  const missing = await codeDifferences(chain, deployment, parameters)
  // Getters say nothing useful where the code is another.
  const differences = missing.length > 0 ? missing : await valueDifferences(chain, deployment, parameters)
  if (differences.length > 0) throw new CheckFailedError(chain.id, differences)
}

async function codeDifferences(chain: Chain, deployment: Deployment, { external }: Parameters): Promise<Difference[]> {
  const contracts: readonly (readonly [string, string | null, ContractName | 'any code'])[] = [
    ['escrow', deployment.escrow, 'InferenceEscrow'],
    ['feePolicy', deployment.feePolicy, 'FeePolicy'],
    ['modelRegistry', deployment.modelRegistry, 'ModelRegistry'],
    ['voucherReceiptVerifier', deployment.voucherReceiptVerifier, 'VoucherReceiptVerifier'],
    ['quorumReceiptVerifier', deployment.quorumReceiptVerifier, 'QuorumReceiptVerifier'],
    ['gatewayReceiptVerifier', deployment.gatewayReceiptVerifier, 'GatewayReceiptVerifier'],
    ['teeReceiptVerifier', deployment.teeReceiptVerifier, 'TeeReceiptVerifier'],
    ['uptoAdapter', deployment.uptoAdapter, 'UptoAdapter'],
    ['permit2', deployment.permit2, 'any code'],
    ['token', deployment.token, external === undefined ? 'DevOPG' : 'any code'],
    ['teeRegistry', deployment.teeRegistry, external === undefined ? 'DevTEERegistry' : 'any code'],
  ]
  const found = await Promise.all(
    contracts.map(async ([subject, address, contract]): Promise<Difference[]> => {
      if (address === null) return []
      const code = await chain.provider.getCode(address)
      if (code === '0x') return [{ subject: `${subject} (${address})`, expected: contract, found: 'no code' }]
      if (contract === 'any code' || isCodeOf(contract, code)) return []
      return [{ subject: `${subject} (${address})`, expected: contract, found: 'other code' }]
    }),
  )
  return found.flat()
}

async function valueDifferences(chain: Chain, deployment: Deployment, parameters: Parameters): Promise<Difference[]> {
  const { provider } = chain
  const escrow = InferenceEscrow__factory.connect(deployment.escrow, provider)
  const policy = FeePolicy__factory.connect(deployment.feePolicy, provider)
  const token = DevOPG__factory.connect(deployment.token, provider)
  const { external } = parameters
  const teeRegistry = external === undefined ? deployment.teeRegistry : external.teeRegistry
  const values: readonly (readonly [string, Promise<unknown>, unknown])[] = [
    ['manifest.permit2', Promise.resolve(deployment.permit2), PERMIT2],
    ['manifest.keyReceiptVerifier', Promise.resolve(deployment.keyReceiptVerifier), deployment.escrow],
    ['manifest.token', Promise.resolve(deployment.token), external?.token ?? deployment.token],
    ['manifest.teeRegistry', Promise.resolve(deployment.teeRegistry), teeRegistry],
    ['escrow.TOKEN', escrow.TOKEN(), deployment.token],
    ['escrow.PERMIT2', escrow.PERMIT2(), deployment.permit2],
    ['escrow.FEE_POLICY', escrow.FEE_POLICY(), deployment.feePolicy],
    ['escrow.MODEL_REGISTRY', escrow.MODEL_REGISTRY(), deployment.modelRegistry],
    ['escrow.deploymentChainId', escrow.deploymentChainId(), deployment.chainId],
    ['escrow.networkBps', escrow.networkBps(), parameters.networkBps],
    ['feePolicy.owner', policy.owner(), parameters.owner],
    ['feePolicy.networkRecipient', policy.networkRecipient(), parameters.networkRecipient],
    ['feePolicy.networkBps', policy.networkBps(), parameters.networkBps],
    ['token.decimals', token.decimals(), OPG_DECIMALS],
  ]
  const others: (readonly [string, Promise<unknown>, unknown])[] = []
  const { teeReceiptVerifier, gatewayReceiptVerifier } = deployment
  if (teeReceiptVerifier !== null) {
    const verifier = TeeReceiptVerifier__factory.connect(teeReceiptVerifier, provider)
    others.push(['teeReceiptVerifier.REGISTRY', verifier.REGISTRY(), teeRegistry])
  }
  if (gatewayReceiptVerifier !== null) {
    const verifier = GatewayReceiptVerifier__factory.connect(gatewayReceiptVerifier, provider)
    others.push(['gatewayReceiptVerifier.REGISTRY', verifier.REGISTRY(), teeRegistry])
  }
  if (deployment.uptoAdapter !== null) {
    const adapter = UptoAdapter__factory.connect(deployment.uptoAdapter, provider)
    others.push(['uptoAdapter.ESCROW', adapter.ESCROW(), deployment.escrow])
    const deskHash = keccak256(UptoDesk__factory.bytecode)
    others.push(['uptoAdapter.DESK_INIT_CODE_HASH', adapter.DESK_INIT_CODE_HASH(), deskHash])
  }
  const compared = await Promise.all(
    [...values, ...others].map(async ([subject, read, wanted]): Promise<Difference[]> => {
      const [expected, found] = [String(wanted), String(await read)]
      return expected.toLowerCase() === found.toLowerCase() ? [] : [{ subject, expected, found }]
    }),
  )
  return compared.flat()
}
