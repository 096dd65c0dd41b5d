import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type EscrowUpto, type EscrowUptoOptions, SellerSettingError, escrowUpto, streamPaid } from '../../src/index.js'
import { errorOf } from '../support/buyer.js'
import { SellWorld } from './support/world.js'

/** As they come from an environment, where types do not reach. */
const wrong = (settings: Readonly<Record<string, unknown>>): Partial<EscrowUptoOptions> => settings

describe('settings of a seller', () => {
  let world: SellWorld
  beforeAll(async () => {
    world = await SellWorld.start()
  })
  afterEach(() => world.stopSellers())
  afterAll(() => world.stop())

  it.each([
    ['signer', undefined, 'missing'],
    ['signer', '0x' + '11'.repeat(32), 'a string of 66 characters'],
    ['signer', { getAddress: () => Promise.resolve('0x') }, 'an object'],
    ['rpc', undefined, 'missing'],
    ['rpc', '', '""'],
    ['rpc', 'localhost:8545', '"localhost:8545"'],
    ['rpc', {}, 'an object'],
    ['facilitator', undefined, 'missing'],
    ['facilitator', 'nonsense', '"nonsense"'],
    ['facilitator', 'ftp://127.0.0.1', '"ftp://127.0.0.1"'],
    ['facilitator', null, 'null'],
    ['outbox', 'outbox.jsonl', '"outbox.jsonl"'],
    ['deployment', 'deployments/31337.json', '"deployments/31337.json"'],
    ['claimWindow', 'an hour', 'an hour'],
    ['claimWindow', 119, '119'],
    ['confirmations', 0, '0'],
    ['confirmations', NaN, 'NaN'],
  ])('are refused at the start: %s as %j', async (setting, value, found) => {
    const error = await errorOf(world.seller(wrong({ [setting]: value })))
    expect(error).toBeInstanceOf(SellerSettingError)
    expect(error).toMatchObject({ code: 'SELLER_SETTING_INVALID', setting })
    expect(String(error)).toContain(`${setting} must be `)
    expect(String(error)).toContain(`but it is ${found}.`)
  })

  it('are refused at the start inside of others', async () => {
    const direct = await errorOf(world.seller(wrong({ direct: { signer: undefined } })))
    expect(direct).toMatchObject({ setting: 'direct.signer' })
    const limits = await errorOf(world.seller(wrong({ limits: { captureWaitMs: 'soon' } })))
    expect(limits).toMatchObject({ setting: 'limits.captureWaitMs' })
    const { escrow: _, ...rest } = world.devnet.deployment
    expect(await errorOf(world.seller(wrong({ deployment: rest })))).toMatchObject({ setting: 'deployment.escrow' })
  })

  it('name the option where no deployment is recorded for the chain, and where its manifest is', async () => {
    const { node, devnet, line } = world
    const error = await errorOf(escrowUpto({ signer: node, rpc: devnet.rpcUrl, facilitator: line.url }))
    expect(error).toMatchObject({ code: 'SELLER_SETTING_INVALID', setting: 'deployment' })
    expect(String(error)).toContain('deployments/31337.json')
  })

  describe('of a route', () => {
    let seller: EscrowUpto
    const route = (price: unknown, options?: { readonly maxTimeoutSeconds: number }): (() => unknown) => {
      const anything: { route(price: never, options?: { readonly maxTimeoutSeconds: number }): unknown } = seller
      return () => anything.route(price as never, options)
    }
    beforeAll(async () => {
      const { node, devnet, line } = world
      const { provider: rpc, deployment } = devnet
      seller = await escrowUpto({ signer: node, rpc, facilitator: line.url, deployment })
    })
    afterAll(() => seller.close())

    it.each(['$0.05', 'x', '0', '', 0, -1, NaN, undefined, null, { asset: 'OPG', amount: '7' }])(
      'are refused when it is made, and not at its first request: price %j',
      (price) => {
        expect(route(price)).toThrow(SellerSettingError)
        expect(route(price)).toThrow(/^price.* must be .*, but it is /)
      },
    )

    it('are refused when a stream is made', () => {
      expect(() => streamPaid(seller, '$0.05', async function* () {})).toThrow(SellerSettingError)
    })

    it.each([0, 1.5, -300])('are refused when it is made: maxTimeoutSeconds %j', (maxTimeoutSeconds) => {
      expect(route('0.05 OPG', { maxTimeoutSeconds })).toThrow(/^maxTimeoutSeconds must be /)
    })

    it('are taken as before where they are right', () => {
      expect(route('0.05 OPG', { maxTimeoutSeconds: 60 })()).toMatchObject({ accepts: { price: '0.05 OPG' } })
      expect(route(0.05)()).toMatchObject({ accepts: { price: 0.05 } })
    })
  })
})
