import { getAddress } from 'ethers'
import { describe, expect, it } from 'vitest'
import * as constants from './constants.js'

describe('constants', () => {
  const { DETERMINISTIC_DEPLOYER, OPENGRADIENT_NATIVE_TOKEN, OPG_TOKENS, PERMIT2, TEE_PRECOMPILE, TEE_REGISTRY } =
    constants
  it.each([DETERMINISTIC_DEPLOYER, OPENGRADIENT_NATIVE_TOKEN, PERMIT2, TEE_PRECOMPILE, TEE_REGISTRY])(
    'writes %s with its checksum',
    (address) => {
      expect(getAddress(address.toLowerCase())).toBe(address)
    },
  )

  it.each(Object.values(OPG_TOKENS))('writes the token %s with its checksum', (address) => {
    expect(getAddress(address.toLowerCase())).toBe(address)
  })

  it('keeps all shares together at 5,000 basis points (F2)', () => {
    const { MAX_FACILITATOR_BPS, MAX_NETWORK_BPS, MAX_ROYALTY_BPS } = constants
    expect(MAX_FACILITATOR_BPS + MAX_NETWORK_BPS + MAX_ROYALTY_BPS).toBe(5_000)
  })

  it('keeps claimBy within 90 days (F10)', () => {
    expect(constants.MAX_CLAIM_WINDOW_SECONDS).toBe(7_776_000)
  })
})
