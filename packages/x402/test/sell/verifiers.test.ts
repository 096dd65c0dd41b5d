import { type VerifierOptions, ecdsaSigner } from '@opg/node'
import { type Address, type Hex, type Terms, ZERO_ADDRESS, quorumKey } from '@opg/protocol'
import { Wallet } from 'ethers'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type TestValidator, startValidator } from '../../../node/test/support/validator.js'
import { payFetch } from '../../src/index.js'
import { errorOf } from '../support/buyer.js'
import { type Enclave, ownerKey, registerEnclave } from '../support/enclave.js'
import { answer, openShop } from './support/shop.js'
import { OPG, SellWorld, refusal, settled, until } from './support/world.js'

const POST = { method: 'POST' } as const
const CAP = OPG / 20n

interface Offer {
  readonly verifier: VerifierOptions
  readonly terms: Partial<Terms>
  readonly evidenceKey: Hex
}

describe('selling to stock clients under another verifier', () => {
  let world: SellWorld
  let enclave: Enclave
  const validators: TestValidator[] = []
  beforeAll(async () => {
    for (let i = 0; i < 3; i++) validators.push(await startValidator(new Wallet(Wallet.createRandom().privateKey)))
    world = await SellWorld.start()
    enclave = await registerEnclave(world.devnet, world.node)
  })
  afterEach(async () => {
    for (const validator of validators) validator.mood = 'honest'
    await world.untilAllClosed()
    await world.stopSellers()
  })
  afterAll(async () => {
    await world.stop()
    await Promise.all(validators.map((validator) => validator.stop()))
  })

  const tee = (signer = enclave.signer): VerifierOptions => ({
    kind: 'tee',
    address: world.devnet.deployment.teeReceiptVerifier ?? ZERO_ADDRESS,
    signer,
  })
  const set = () => validators.map(({ validator }) => validator)
  const quorum = (): VerifierOptions => ({
    kind: 'quorum',
    address: world.devnet.deployment.quorumReceiptVerifier,
    signer: ecdsaSigner(world.node.privateKey),
    quorum: { k: 2, validators: set(), timeoutMs: 1_000, fetch },
  })
  const trusted = () => ({ k: 2, validators: set().map(({ address }) => address) })
  const offers: Record<string, () => Offer> = {
    'one enclave': () => ({ verifier: tee(), terms: {}, evidenceKey: enclave.teeId }),
    'any enclave of the node': () => {
      const evidenceKey = ownerKey(world.node.address)
      return { verifier: tee(), terms: { evidenceKey }, evidenceKey }
    },
    'a quorum': () => ({ verifier: quorum(), terms: {}, evidenceKey: quorumKey(trusted()) }),
  }
  const offerOf = (kind: string): Offer => {
    const make = offers[kind]
    if (make === undefined) throw new TypeError(kind)
    return make()
  }

  it.each(Object.keys(offers))('is paid by %s, at a stock client and at one that checks', async (kind) => {
    const { verifier, terms, evidenceKey } = offerOf(kind)
    const shop = await openShop(world, answer, { verifier, terms })
    expect(shop.seller.offered.offer.terms).toMatchObject({ verifier: verifier.address, evidenceKey })
    const before = await world.money()
    const response = await world.payFetch(shop.url, POST)
    expect([response.status, settled(response).opg.receipt?.receipt.fee]).toEqual([200, CAP])
    await world.untilPaid(before, CAP)
    const { rpcUrl, deployment } = world.devnet
    const options = { rpcUrl, escrow: deployment.escrow, maxPerDay: '1', quorums: [trusted()] }
    expect((await payFetch(world.payer, options)(shop.url, POST)).status).toBe(200)
    await until(async () => (await world.money()).payer === before.payer - 2n * CAP, 'both are paid for')
  })

  it.each(Object.keys(offers))('gives the order back where the handler fails: %s', async (kind) => {
    const { verifier, terms } = offerOf(kind)
    const failing = await openShop(world, (_request, response) => void response.status(500).end(), { verifier, terms })
    const before = await world.money()
    expect((await world.payFetch(failing.url, POST)).status).toBe(500)
    await world.untilGivenBack(before)
  })

  it('validators who do not sign: no answer leaves, and the order goes back once they do', async () => {
    const { verifier } = offerOf('a quorum')
    const shop = await openShop(world, answer, { verifier })
    const before = await world.money()
    for (const validator of validators.slice(1)) validator.mood = 'refuses'
    const response = await world.payFetch(shop.url, POST)
    expect([response.status, refusal(response)]).toEqual([402, 'evidence_missing'])
    expect(await response.text()).not.toContain('42')
    expect(shop.seller.outboxSize).toBe(1)
    expect((await world.money()).payer).toBe(before.payer - CAP)
    for (const validator of validators) validator.mood = 'honest'
    await world.untilGivenBack(before)
    await until(() => shop.seller.outboxSize === 0, 'the facilitator has the release')
  })

  it('validators who do not sign a release are asked again', async () => {
    const { verifier } = offerOf('a quorum')
    const failing = await openShop(world, (_request, response) => void response.status(500).end(), { verifier })
    const before = await world.money()
    for (const validator of validators) validator.mood = 'hang-up'
    expect((await world.payFetch(failing.url, POST)).status).toBe(500)
    for (const validator of validators) validator.mood = 'honest'
    await world.untilGivenBack(before)
  })

  describe('cannot be set up', () => {
    const refused = async (options: Parameters<SellWorld['seller']>[0]): Promise<unknown> =>
      errorOf(world.seller(options))

    it('with vouchers, which stock clients do not sign', async () => {
      const { voucherReceiptVerifier: address } = world.devnet.deployment
      const verifier = { kind: 'voucher', address, signer: ecdsaSigner(world.node.privateKey) } as const
      expect(await refused({ verifier })).toMatchObject({
        code: 'SELLER_SETTING_INVALID',
        setting: 'verifier.kind',
        message: expect.stringContaining('sign nothing after the payment') as string,
      })
    })

    it('with a gateway, whose orders pin a request', async () => {
      const address = world.devnet.deployment.gatewayReceiptVerifier ?? ZERO_ADDRESS
      const verifier = {
        kind: 'gateway',
        address,
        signer: ecdsaSigner(world.node.privateKey),
        teeId: enclave.teeId,
      } as const
      const message = expect.stringContaining('pin none') as string
      expect(await refused({ verifier })).toMatchObject({ setting: 'verifier.kind', message })
    })

    it('with an enclave whose key is gone, one that is not enabled, or other code', async () => {
      const { address } = tee()
      const lost = { kind: 'lost-tee', address, teeId: enclave.teeId } as const
      expect(await refused({ verifier: lost })).toMatchObject({ setting: 'verifier.kind' })
      const disabled = await registerEnclave(world.devnet, world.node)
      const registry = world.devnet.contracts.teeRegistry.connect(world.node)
      await (await registry.disableTEE(disabled.teeId)).wait()
      expect(await refused({ verifier: tee(disabled.signer) })).toMatchObject({ code: 'WRONG_CHAIN' })
      const elsewhere = { ...tee(), address: world.devnet.deployment.escrow }
      expect(await refused({ verifier: elsewhere })).toMatchObject({ code: 'WRONG_CHAIN' })
    })

    it('with terms that name another verifier, or a key that it has not', async () => {
      const verifier: Address = world.devnet.deployment.quorumReceiptVerifier
      expect(await refused({ terms: { verifier } })).toMatchObject({ setting: 'terms.verifier' })
      const evidenceKey = ownerKey(world.payer.address)
      expect(await refused({ verifier: tee(), terms: { evidenceKey } })).toMatchObject({ setting: 'terms.evidenceKey' })
    })
  })
})
