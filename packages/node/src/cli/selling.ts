import { ConfigError, type CliEdge, type Logger } from '@opg/operator'
import type { NodeConfig } from '../config/loadConfig.js'
import { SETTINGS, type Settings } from '../config/settings.js'
import { readApprovalDomain } from '../chain/approvalDomain.js'
import { readDeskCodeHash } from '../chain/uptoAdapter.js'
import type { NodeInfo, VerifierInfo } from '../http/info.js'
import { ecdsaSigner } from '../receipts/ecdsaSigner.js'
import { createCashier } from '../x402/cashier.js'
import { createFacilitator } from '../x402/facilitator.js'
import type { Selling, UptoSelling } from '../x402/requirements.js'
import type { Cashier } from '../x402/types.js'
import type { WiredNode } from './wire.js'

/** What takes payments over x402, as it is configured. @throws {ConfigError} @throws as `readDeskCodeHash` does */
export async function wireCashier(
  wired: WiredNode,
  options: {
    readonly config: NodeConfig
    readonly info: NodeInfo
    readonly edge: CliEdge
    readonly logger: Logger
  },
): Promise<Cashier> {
  const { payments } = wired
  const { config, info, edge, logger } = options
  const { facilitatorUrl, facilitatorTimeoutSeconds } = config.settings
  const { service, store, chain } = payments
  const signer = ecdsaSigner(config.keys.nodeKey.reveal())
  return createCashier({
    selling: await sellingOf(wired, { settings: config.settings, info }),
    service,
    store,
    chain,
    signDigest: (digest) => signer.signDigest(digest),
    facilitator:
      facilitatorUrl === undefined
        ? undefined
        : createFacilitator({ url: facilitatorUrl, timeoutMs: facilitatorTimeoutSeconds * 1000, fetch: edge.fetch }),
    confirmTimeoutMs: facilitatorTimeoutSeconds * 1000,
    replayMs: config.settings.replaySeconds * 1000,
    clock: edge.clock,
    sleep: edge.sleep,
    logger,
  })
}

async function sellingOf(
  wired: WiredNode,
  { settings, info }: { readonly settings: Settings; readonly info: NodeInfo },
): Promise<Selling> {
  const { chainId, escrow, token, node, verifiers } = info
  const { kind, address, evidenceKeys } = verifierOf(settings, verifiers)
  const [evidenceKey] = evidenceKeys
  if (evidenceKey === undefined) throw wrongVerifier(verifiers)
  const { offerFacilitator: facilitator, offerFacilitatorBps: facilitatorBps } = settings
  const vouchers = kind === 'voucher'
  return {
    chainId,
    deploymentChainId: Number(info.deploymentChainId),
    escrow,
    token,
    terms: { node, facilitator, facilitatorBps, verifier: address, evidenceKey },
    vouchers,
    minAmount: settings.minAmount,
    minSecondsToClaimBy: settings.minSecondsToClaimBy,
    // Stock clients sign no vouchers.
    upto: vouchers ? undefined : await uptoSelling(wired, settings),
  }
}

async function uptoSelling(
  { provider, deployment, payments }: WiredNode,
  { facilitatorUrl, claimWindowSeconds: claimWindow, minSecondsToClaimBy }: Settings,
): Promise<UptoSelling | undefined> {
  const { uptoAdapter: adapter, escrow, token } = deployment
  const { chainId } = payments.chain
  if (facilitatorUrl === undefined || adapter === null) return undefined
  if (claimWindow < minSecondsToClaimBy) {
    const names = `${SETTINGS.minSecondsToClaimBy.variable}, ${String(minSecondsToClaimBy)}`
    throw new ConfigError(SETTINGS.claimWindowSeconds.variable, `at least ${names}, or no order could be served`)
  }
  const [initCodeHash, approval] = await Promise.all([
    readDeskCodeHash(provider, { adapter, escrow }),
    readApprovalDomain(provider, { token, chainId }),
  ])
  return { adapter, initCodeHash, claimWindow, approval }
}

function verifierOf({ offerVerifier }: Settings, verifiers: readonly VerifierInfo[]): VerifierInfo {
  const kinds = offerVerifier === undefined ? ['tee', 'key'] : [offerVerifier]
  const [found] = kinds.flatMap((kind) => verifiers.find((verifier) => verifier.kind === kind) ?? [])
  if (found === undefined) throw wrongVerifier(verifiers)
  return found
}

function wrongVerifier(verifiers: readonly VerifierInfo[]): ConfigError {
  const kinds = [...new Set(verifiers.map(({ kind }) => kind))].join(', ')
  return new ConfigError(SETTINGS.offerVerifier.variable, `one that this node has the key for: ${kinds}`)
}
