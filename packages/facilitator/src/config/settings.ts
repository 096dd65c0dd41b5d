import { fields, type SettingTable, type SettingsOf } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import { z } from 'zod'

const { address, hex, httpUrl, text, wholeNumber } = fields

const wei = z
  .string({ error: 'wei as decimal digits in a text' })
  .regex(/^(0|[1-9][0-9]{0,30})$/, { error: 'wei as decimal digits in a text' })
  .transform(BigInt)
const baseUnits = z
  .string({ error: 'base units as decimal digits in a text' })
  .regex(/^(0|[1-9][0-9]{0,28})$/, { error: 'base units as decimal digits in a text' })
  .transform(BigInt)
const hourly = wholeNumber(0, 10_000_000)
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')], {
  error: 'true or false',
})

/** How the key is given, for help texts. */
export const KEY_VARIABLES = {
  OPG_FACILITATOR_PRIVATE_KEY:
    'Private key of the account that pays the gas, 0x and 64 hexadecimal digits. This or the file is required.',
  OPG_FACILITATOR_PRIVATE_KEY_FILE: 'Path of a file with that key.',
} as const

/** Names the configuration file. */
export const CONFIG_VARIABLE = 'OPG_FACILITATOR_CONFIG'

/** All settings but the key. The environment wins over the file. */
export const SETTINGS = {
  rpcUrl: {
    variable: 'OPG_FACILITATOR_RPC_URL',
    schema: httpUrl('an http or https URL'),
    help: 'JSON-RPC endpoint of the chain. Required.',
  },
  chainId: {
    variable: 'OPG_FACILITATOR_CHAIN_ID',
    schema: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
    help: 'Chain id that the RPC must have. Default: whatever it says.',
  },
  deploymentFile: {
    variable: 'OPG_FACILITATOR_DEPLOYMENT_FILE',
    schema: text('the path of a deployment manifest').optional(),
    help: 'Manifest of contract addresses, deployments/<chainId>.json. Default: the one this package was built with.',
    isPath: true,
  },
  database: {
    variable: 'OPG_FACILITATOR_DB',
    schema: text('the path of a database, or a postgres:// URL').default('opg-facilitator.sqlite'),
    help: 'Books: an SQLite file, or a postgres:// URL where instances share the work. Default: opg-facilitator.sqlite.',
  },
  host: {
    variable: 'OPG_FACILITATOR_HOST',
    schema: text('a host name or IP address').default('127.0.0.1'),
    help: 'Where to listen. Default: 127.0.0.1.',
  },
  port: {
    variable: 'OPG_FACILITATOR_PORT',
    schema: wholeNumber(0, 65_535).default(8403),
    help: 'TCP port; 0 takes a free one. Default: 8403.',
  },
  bodyBytes: {
    variable: 'OPG_FACILITATOR_BODY_BYTES',
    schema: wholeNumber(1_024, 1_048_576).default(65_536),
    help: 'Largest request body. Default: 65536.',
  },
  nodes: {
    variable: 'OPG_FACILITATOR_NODES',
    schema: z
      .array(address, { error: 'a list of addresses' })
      .min(1, { error: 'a list of at least one address' })
      .optional(),
    help: 'Nodes that are served, as a JSON list of addresses. Default: all.',
    isJson: true,
  },
  terms: {
    variable: 'OPG_FACILITATOR_TERMS',
    schema: z
      .array(
        hex(32, 'a hash of terms, 0x and 64 hexadecimal digits').transform(
          (hash): Hex => `0x${hash.slice(2).toLowerCase()}`,
        ),
        { error: 'a list of hashes of terms' },
      )
      .min(1, { error: 'a list of at least one hash of terms' })
      .optional(),
    help: 'Terms that are served, as a JSON list of their struct hashes. Default: all.',
    isJson: true,
  },
  minFacilitatorBps: {
    variable: 'OPG_FACILITATOR_MIN_BPS',
    schema: wholeNumber(0, 2_000).default(0),
    help: 'Least share of each fee that terms must give this account, in basis points. Default: 0.',
  },
  deadlineMarginSeconds: {
    variable: 'OPG_FACILITATOR_DEADLINE_MARGIN_SECONDS',
    schema: wholeNumber(1, 3_600).default(6),
    help: "Time that must be left of a payer's signed deadline. Default: 6.",
  },
  sponsorApprovals: {
    variable: 'OPG_FACILITATOR_SPONSOR_APPROVALS',
    schema: flag.default(true),
    help: "Whether gas is paid for a payer's first approval (EIP-2612), true or false. Default: true.",
  },
  lockTimeoutSeconds: {
    variable: 'OPG_FACILITATOR_LOCK_TIMEOUT_SECONDS',
    schema: wholeNumber(1, 600).default(20),
    help: 'How long a lock waits for the chain. Default: 20.',
  },
  gatherMs: {
    variable: 'OPG_FACILITATOR_GATHER_MS',
    schema: wholeNumber(0, 10_000).default(30),
    help: 'So long an opening waits for others to share a transaction with, in milliseconds. Default: 30.',
  },
  captureIntervalMs: {
    variable: 'OPG_FACILITATOR_CAPTURE_INTERVAL_MS',
    schema: wholeNumber(0, 3_600_000).default(5_000),
    help: 'So long captures wait for others, in milliseconds. Default: 5000.',
  },
  confirmations: {
    variable: 'OPG_FACILITATOR_CONFIRMATIONS',
    schema: wholeNumber(1, 1_000).default(1),
    help: 'Blocks, its own included, before an opening or a capture counts. Default: 1.',
  },
  maxFeePerGas: {
    variable: 'OPG_FACILITATOR_MAX_FEE_PER_GAS',
    schema: wei.default(500_000_000_000n),
    help: 'Most that is offered for gas, in wei. Default: 500000000000.',
  },
  minBalance: {
    variable: 'OPG_FACILITATOR_MIN_BALANCE',
    schema: wei.default(10_000_000_000_000_000n),
    help: 'Gas money in wei: with less, nothing new is locked and /health fails. Default: 10000000000000000.',
  },
  maxUnopenedOfPayer: {
    variable: 'OPG_FACILITATOR_MAX_UNOPENED_OF_PAYER',
    schema: wholeNumber(1, 1_000_000).default(100),
    help: 'Most orders of one payer that may be on their way at once. Default: 100.',
  },
  maxUnopened: {
    variable: 'OPG_FACILITATOR_MAX_UNOPENED',
    schema: wholeNumber(1, 10_000_000).default(10_000),
    help: 'Most orders that may be on their way at once. Default: 10000.',
  },
  maxUnpaidOfPayer: {
    variable: 'OPG_FACILITATOR_MAX_UNPAID_OF_PAYER',
    schema: hourly.default(3_000),
    help: 'Most orders of one payer within an hour that have earned less than leastFee yet; 0 for no limit. Default: 3000.',
  },
  maxUnpaidOfNode: {
    variable: 'OPG_FACILITATOR_MAX_UNPAID_OF_NODE',
    schema: hourly.default(0),
    help: 'Most orders of one node within an hour that ended with less than leastFee; 0 for no limit. Default: 0.',
  },
  leastFee: {
    variable: 'OPG_FACILITATOR_LEAST_FEE',
    schema: baseUnits.default(10n ** 15n),
    help: 'Base units: an order that earns its node less counts as unpaid. Default: 1000000000000000.',
  },
  maxOpeningsOfPayer: {
    variable: 'OPG_FACILITATOR_MAX_OPENINGS_OF_PAYER',
    schema: hourly.default(0),
    help: 'Most orders of one payer within an hour, whatever they earned; 0 for no limit. Default: 0.',
  },
  maxOpeningsOfNode: {
    variable: 'OPG_FACILITATOR_MAX_OPENINGS_OF_NODE',
    schema: hourly.default(0),
    help: 'The same, of one node. Default: 0.',
  },
  minAmount: {
    variable: 'OPG_FACILITATOR_MIN_AMOUNT',
    schema: baseUnits.default(0n),
    help: 'Base units: the least that an order must lock. Default: 0.',
  },
  maxPendingSeconds: {
    variable: 'OPG_FACILITATOR_MAX_PENDING_SECONDS',
    schema: wholeNumber(1, 86_400).default(120),
    help: 'A transaction that is pending for longer makes /health fail. Default: 120.',
  },
  logLevel: {
    variable: 'OPG_FACILITATOR_LOG_LEVEL',
    schema: z.enum(['info', 'warn', 'error', 'silent'], { error: 'info, warn, error or silent' }).default('info'),
    help: 'What is logged to stderr. Default: info.',
  },
  logFormat: {
    variable: 'OPG_FACILITATOR_LOG_FORMAT',
    schema: z.enum(['json', 'pretty'], { error: 'json or pretty' }).default('json'),
    help: 'How it is logged. Default: json.',
  },
  leaseSeconds: {
    variable: 'OPG_FACILITATOR_LEASE_SECONDS',
    schema: wholeNumber(1, 3_600).default(20),
    help: 'An instance that is silent for so long is taken for dead, and its work is taken over. Default: 20.',
  },
  shutdownSeconds: {
    variable: 'OPG_FACILITATOR_SHUTDOWN_SECONDS',
    schema: wholeNumber(0, 3_600).default(30),
    help: 'How long a stop waits for running requests. Default: 30.',
  },
} as const satisfies SettingTable

export type Settings = SettingsOf<typeof SETTINGS>
