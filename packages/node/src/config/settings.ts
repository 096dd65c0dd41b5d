import { fields, type SettingTable, type SettingsOf } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import { z } from 'zod'
import { SELLING_SETTINGS } from './sellingSettings.js'

const { address, hex, httpUrl, opg, text, wholeNumber } = fields

const prices = z.strictObject({
  perRequest: opg({ zero: true }),
  inputPerMillion: opg({ zero: true }).default(0n),
  outputPerMillion: opg({ zero: true }).default(0n),
})
const teeId = hex(32, 'a teeId, 0x and 64 hexadecimal digits').transform((id): Hex => `0x${id.slice(2).toLowerCase()}`)
const modelBase = {
  name: z
    .string({ error: 'a name' })
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$/, { error: 'a name of up to 100 letters, digits and . _ : / -' }),
  modelId: hex(32, '32 bytes as 0x and hexadecimal digits').optional(),
  registrant: hex(20, 'an address, 0x and 40 hexadecimal digits').optional(),
  prices,
}
const onnxModel = z.strictObject({
  ...modelBase,
  kind: z.literal('onnx'),
  file: text('the path of an .onnx file'),
  maxInputElements: wholeNumber(1, 100_000_000).optional(),
  maxOutputElements: wholeNumber(1, 100_000_000).optional(),
})
const openAiModel = z.strictObject({
  ...modelBase,
  kind: z.literal('openai'),
  baseUrl: httpUrl('an http or https URL that ends before /chat/completions, like https://api.example/v1').transform(
    (url) => url.replace(/\/+$/, ''),
  ),
  upstreamModel: text('the name of the model at the upstream').optional(),
  gatewayTeeIds: z.array(teeId, { error: 'a list of teeIds' }).min(1, { error: 'a list of teeIds' }).optional(),
  apiKeyEnv: z
    .string({ error: 'the name of an environment variable' })
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'the name of an environment variable' })
    .optional(),
  maxOutputTokens: wholeNumber(1, 1_000_000).default(4_096),
  defaultOutputTokens: wholeNumber(1, 1_000_000).optional(),
  idleTimeoutSeconds: wholeNumber(1, 3_600).default(60),
})

/** A model as the configuration names it. */
export const modelSetting = z.discriminatedUnion('kind', [onnxModel, openAiModel], {
  error: 'a model: { "kind": "onnx" or "openai", "name", "prices", ... }',
})

export type ModelSetting = z.output<typeof modelSetting>

const quorumSetting = z.strictObject({
  k: wholeNumber(1, 255),
  validators: z
    .array(
      z.strictObject({
        address,
        url: httpUrl('the http or https URL of a validator'),
      }),
    )
    .min(1, { error: 'a list of 1 to 255 validators' })
    .max(255, { error: 'a list of 1 to 255 validators' }),
})

/** All settings but the keys. The environment wins over the file. */
export const SETTINGS = {
  rpcUrl: {
    variable: 'OPG_NODE_RPC_URL',
    schema: httpUrl('an http or https URL'),
    help: 'JSON-RPC endpoint of the chain. Required.',
  },
  chainId: {
    variable: 'OPG_NODE_CHAIN_ID',
    schema: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
    help: 'Chain id that the RPC must have. Default: whatever it says.',
  },
  deploymentFile: {
    variable: 'OPG_NODE_DEPLOYMENT_FILE',
    schema: text('the path of a deployment manifest').optional(),
    help: 'Manifest of contract addresses, deployments/<chainId>.json. Default: the one this package was built with.',
    isPath: true,
  },
  database: {
    variable: 'OPG_NODE_DB',
    schema: text('the path of the database').default('opg-node.sqlite'),
    help: 'SQLite file with the books. Default: opg-node.sqlite.',
    isPath: true,
  },
  models: {
    variable: 'OPG_NODE_MODELS',
    schema: z.array(modelSetting, { error: 'a list of models' }).min(1, { error: 'a list of at least one model' }),
    help: 'What is sold, as a JSON list. Required for serve.',
    isJson: true,
  },
  lostTeeIds: {
    variable: 'OPG_NODE_LOST_TEE_IDS',
    schema: z.array(teeId, { error: 'a list of teeIds' }).default([]),
    help: 'teeIds, as a JSON list, of enclaves whose keys are gone: what they signed is settled. Default: none.',
    isJson: true,
  },
  quorums: {
    variable: 'OPG_NODE_QUORUMS',
    schema: z
      .array(quorumSetting, { error: 'a list of quorums: { "k", "validators": [{ "address", "url" }] }' })
      .default([]),
    help: 'Sets of validators that settlements are proved by, as a JSON list. Default: none.',
    isJson: true,
  },
  quorumTimeoutSeconds: {
    variable: 'OPG_NODE_QUORUM_TIMEOUT_SECONDS',
    schema: wholeNumber(1, 600).default(10),
    help: 'How long a validator may take to sign. Default: 10.',
  },
  host: {
    variable: 'OPG_NODE_HOST',
    schema: text('a host name or IP address').default('127.0.0.1'),
    help: 'Where to listen. Default: 127.0.0.1.',
  },
  port: {
    variable: 'OPG_NODE_PORT',
    schema: wholeNumber(0, 65_535).default(8402),
    help: 'TCP port; 0 takes a free one. Default: 8402.',
  },
  bodyBytes: {
    variable: 'OPG_NODE_BODY_BYTES',
    schema: wholeNumber(1_024, 1_073_741_824).default(1_048_576),
    help: 'Largest request body. Default: 1048576.',
  },
  minAmount: {
    variable: 'OPG_NODE_MIN_AMOUNT',
    schema: opg({ zero: true }).default(1n),
    help: 'Smallest order taken, in OPG. Default: one base unit.',
  },
  minNetNodeBps: {
    variable: 'OPG_NODE_MIN_NET_BPS',
    schema: wholeNumber(0, 10_000).default(5_000),
    help: "The node's least part of each fee, in basis points. Default: 5000.",
  },
  minSecondsToClaimBy: {
    variable: 'OPG_NODE_MIN_SECONDS_TO_CLAIM_BY',
    schema: wholeNumber(1, 7_776_000).default(1_200),
    help: 'Time that must be left to claimBy when a request starts. Default: 1200.',
  },
  refreshSeconds: {
    variable: 'OPG_NODE_REFRESH_SECONDS',
    schema: wholeNumber(0, 86_400).default(15),
    help: 'Age at which an order is read from the chain again before more work. Default: 15.',
  },
  confirmations: {
    variable: 'OPG_NODE_CONFIRMATIONS',
    schema: wholeNumber(1, 1_000).default(1),
    help: 'Blocks, its own included, before an opening or a settlement counts. Default: 1.',
  },
  settleIntervalSeconds: {
    variable: 'OPG_NODE_SETTLE_INTERVAL_SECONDS',
    schema: wholeNumber(1, 86_400).default(30),
    help: 'Pause between two looks at what to settle; serve only. Default: 30.',
  },
  settleBatchSize: {
    variable: 'OPG_NODE_SETTLE_BATCH_SIZE',
    schema: wholeNumber(1, 1_000).default(100),
    help: 'Most orders settled in one transaction. Default: 100.',
  },
  settleMaxTransfers: {
    variable: 'OPG_NODE_SETTLE_MAX_TRANSFERS',
    schema: wholeNumber(2, 10_000).default(101),
    help: 'Most token transfers in one transaction; 18 on OpenGradient. Default: 101.',
  },
  settleGasPerSlice: {
    variable: 'OPG_NODE_SETTLE_GAS_PER_SLICE',
    schema: wholeNumber(1_000, 10_000_000).default(200_000),
    help: 'Gas that the verifier may spend on one slice. Default: 200000.',
  },
  settleFeesOverGas: {
    variable: 'OPG_NODE_SETTLE_FEES_OVER_GAS',
    schema: wholeNumber(0, 1_000_000).default(10),
    help: 'A batch goes once its fees are so many times its gas. Default: 10.',
  },
  settleMaxAgeSeconds: {
    variable: 'OPG_NODE_SETTLE_MAX_AGE_SECONDS',
    schema: wholeNumber(0, 7_776_000).default(3_600),
    help: 'Fees this old go once they are worth their gas. Default: 3600.',
  },
  settleCloseBeforeSeconds: {
    variable: 'OPG_NODE_SETTLE_CLOSE_BEFORE_SECONDS',
    schema: wholeNumber(1, 7_776_000).default(600),
    help: 'So long before claimBy an order is settled and closed. Default: 600.',
  },
  settleIdleCloseSeconds: {
    variable: 'OPG_NODE_SETTLE_IDLE_CLOSE_SECONDS',
    schema: wholeNumber(1, 7_776_000).optional(),
    help: 'An order unused for so long is closed. Default: it stays open.',
  },
  opgPerWei: {
    variable: 'OPG_NODE_OPG_PER_WEI',
    schema: z
      .string({ error: 'a fraction of whole numbers, like "2000/1"' })
      .regex(/^(0|[1-9][0-9]{0,30})\/[1-9][0-9]{0,30}$/, { error: 'a fraction of whole numbers, like "2000/1"' })
      .default('1/1')
      .transform((fraction) => {
        const [numerator = '1', denominator = '1'] = fraction.split('/')
        return { numerator: BigInt(numerator), denominator: BigInt(denominator) }
      }),
    help: 'Base units of OPG per wei of gas money, as a fraction. Default: 1/1, where OPG is the coin.',
  },
  ...SELLING_SETTINGS,
  claimThreshold: {
    variable: 'OPG_NODE_CLAIM_THRESHOLD',
    schema: opg({ zero: false }).optional(),
    help: 'Credit, in OPG, from which serve claims along with a settlement. Default: never.',
  },
  logLevel: {
    variable: 'OPG_NODE_LOG_LEVEL',
    schema: z.enum(['info', 'warn', 'error', 'silent'], { error: 'info, warn, error or silent' }).default('info'),
    help: 'What is logged to stderr. Default: info.',
  },
  logFormat: {
    variable: 'OPG_NODE_LOG_FORMAT',
    schema: z.enum(['json', 'pretty'], { error: 'json or pretty' }).default('json'),
    help: 'How it is logged. Default: json.',
  },
  leaseSeconds: {
    variable: 'OPG_NODE_LEASE_SECONDS',
    schema: wholeNumber(1, 3_600).default(20),
    help: 'A process that is silent for so long is taken for dead: what it held is given back. Default: 20.',
  },
  shutdownSeconds: {
    variable: 'OPG_NODE_SHUTDOWN_SECONDS',
    schema: wholeNumber(0, 3_600).default(30),
    help: 'How long a stop waits for running requests. Default: 30.',
  },
} as const satisfies SettingTable

export type Settings = SettingsOf<typeof SETTINGS>
