import { buildModule } from '@nomicfoundation/ignition-core'
import { artifactOf } from './artifacts.js'

/** Which contracts a chain gets. */
export interface Shape {
  /** Development token and registry in place of real ones. */
  readonly dev: boolean
  /** Verifiers of enclaves' and gateways' evidence: only where there is a registry of TEE keys. */
  readonly tee: boolean
  /** The adapter for stock x402 payments: only where the upto proxy is. */
  readonly upto: boolean
}

/** The Ignition module's id, and with it the prefix of every contract's id in the journal. */
export const MODULE_ID = 'InferencePayments'

/** All contracts of one chain, and how they name each other. */
export function contractsModule(shape: Shape): ReturnType<typeof buildModule> {
  return buildModule(MODULE_ID, (m) => {
    const token = shape.dev ? m.contract('DevOPG', artifactOf('DevOPG')) : m.getParameter<string>('token')
    const feePolicy = m.contract('FeePolicy', artifactOf('FeePolicy'), [
      m.getParameter<string>('owner'),
      m.getParameter<number>('networkBps'),
      m.getParameter<string>('networkRecipient'),
    ])
    const modelRegistry = m.contract('ModelRegistry', artifactOf('ModelRegistry'))
    const permit2 = m.getParameter<string>('permit2')
    const escrow = m.contract('InferenceEscrow', artifactOf('InferenceEscrow'), [
      token,
      permit2,
      feePolicy,
      modelRegistry,
    ])
    m.contract('VoucherReceiptVerifier', artifactOf('VoucherReceiptVerifier'))
    m.contract('QuorumReceiptVerifier', artifactOf('QuorumReceiptVerifier'))
    if (shape.upto) m.contract('UptoAdapter', artifactOf('UptoAdapter'), [escrow])
    if (shape.tee) {
      const registry = shape.dev
        ? m.contract('DevTEERegistry', artifactOf('DevTEERegistry'))
        : m.getParameter<string>('teeRegistry')
      m.contract('TeeReceiptVerifier', artifactOf('TeeReceiptVerifier'), [registry])
      m.contract('GatewayReceiptVerifier', artifactOf('GatewayReceiptVerifier'), [registry])
    }
    return { feePolicy, modelRegistry, escrow }
  })
}
