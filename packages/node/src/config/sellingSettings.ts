import { fields } from '@opg/operator'
import { ZERO_ADDRESS } from '@opg/protocol'
import { z } from 'zod'

const { address, httpUrl, wholeNumber } = fields
const plainUrl = (expected: string) => httpUrl(expected).transform((url) => url.replace(/\/+$/, ''))

/** How the node sells over x402. */
export const SELLING_SETTINGS = {
  facilitatorUrl: {
    variable: 'OPG_NODE_FACILITATOR_URL',
    schema: plainUrl('the http or https URL of an x402 facilitator, without /settle').optional(),
    help: 'Facilitator that locks the money of x402 payments. Default: none, payers open their orders themselves.',
  },
  facilitatorTimeoutSeconds: {
    variable: 'OPG_NODE_FACILITATOR_TIMEOUT_SECONDS',
    schema: wholeNumber(1, 600).default(30),
    help: 'How long it may take to lock, and the chain to show it. Default: 30.',
  },
  publicUrl: {
    variable: 'OPG_NODE_PUBLIC_URL',
    schema: plainUrl('the http or https URL of this node as clients know it').optional(),
    help: 'What x402 offers name as their resource. Default: http and the host that the client names.',
  },
  offerVerifier: {
    variable: 'OPG_NODE_OFFER_VERIFIER',
    schema: z.enum(['key', 'tee', 'voucher', 'quorum'], { error: 'key, tee, voucher or quorum' }).optional(),
    help: 'Verifier that x402 offers name. Default: tee where there is an enclave, else key.',
  },
  offerFacilitator: {
    variable: 'OPG_NODE_OFFER_FACILITATOR',
    schema: address.default(ZERO_ADDRESS),
    help: 'Who earns a share for opening orders of x402 offers. Default: nobody.',
  },
  offerFacilitatorBps: {
    variable: 'OPG_NODE_OFFER_FACILITATOR_BPS',
    schema: wholeNumber(0, 2_000).default(0),
    help: 'That share of each fee, in basis points. Default: 0.',
  },
  claimWindowSeconds: {
    variable: 'OPG_NODE_CLAIM_WINDOW_SECONDS',
    schema: wholeNumber(1, 7_776_000).default(3_600),
    help: 'Time from the end of an upto authorization to claimBy. Default: 3600.',
  },
  replaySeconds: {
    variable: 'OPG_NODE_REPLAY_SECONDS',
    schema: wholeNumber(0, 7_776_000).default(600),
    help: 'How long the answer to an upto payment is kept, and given again. Default: 600.',
  },
} as const
