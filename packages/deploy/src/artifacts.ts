import type { Artifact } from '@nomicfoundation/ignition-core'
import {
  DevOPG__factory,
  DevTEERegistry__factory,
  FeePolicy__factory,
  GatewayReceiptVerifier__factory,
  InferenceEscrow__factory,
  ModelRegistry__factory,
  QuorumReceiptVerifier__factory,
  TeeReceiptVerifier__factory,
  UptoAdapter__factory,
  VoucherReceiptVerifier__factory,
} from '@opg/bindings'

const FACTORIES = {
  FeePolicy: FeePolicy__factory,
  ModelRegistry: ModelRegistry__factory,
  InferenceEscrow: InferenceEscrow__factory,
  VoucherReceiptVerifier: VoucherReceiptVerifier__factory,
  QuorumReceiptVerifier: QuorumReceiptVerifier__factory,
  TeeReceiptVerifier: TeeReceiptVerifier__factory,
  GatewayReceiptVerifier: GatewayReceiptVerifier__factory,
  UptoAdapter: UptoAdapter__factory,
  DevOPG: DevOPG__factory,
  DevTEERegistry: DevTEERegistry__factory,
} as const

/** A contract that can be deployed. */
export type Deployable = keyof typeof FACTORIES

/** The contracts of a deployment; the last two only on local chains. */
export const DEPLOYABLES = Object.keys(FACTORIES) as readonly Deployable[]

/** What Ignition needs of a contract. */
export function artifactOf(contractName: Deployable): Artifact {
  const { abi, bytecode } = FACTORIES[contractName]
  return { contractName, sourceName: contractName, abi, bytecode, linkReferences: {} }
}

/** The contract that a transaction creates, if it is one of ours. */
export function createdBy(data: string): Deployable | undefined {
  return DEPLOYABLES.find((name) => data.startsWith(FACTORIES[name].bytecode))
}
