import { ecdsaSigner } from '@opg/node'
import {
  type Address,
  type Hex,
  type Quorum,
  type SignedReceipt,
  type Terms,
  ZERO_ADDRESS,
  domainSeparator,
  quorumKey,
  receiptDigest,
} from '@opg/protocol'
import { Wallet } from 'ethers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestValidator, startValidator } from '../../../node/test/support/validator.js'
import { payFetch } from '../../src/index.js'
import { buyerOptions, errorOf } from '../support/buyer.js'
import { type Enclave, ownerKey, registerEnclave } from '../support/enclave.js'
import { FEE, Shop, asking } from '../support/shop.js'
import { Seller } from '../support/seller.js'

/** Each with real evidence over real HTTP, settled on a chain. */
describe('payFetch under each verifier', () => {
  let shop: Shop
  let enclave: Enclave
  const validators: TestValidator[] = []
  const quorum = (): Quorum => ({ k: 2, validators: validators.map(({ validator }) => validator.address) })

  beforeAll(async () => {
    for (let i = 0; i < 3; i++) validators.push(await startValidator(new Wallet(Wallet.createRandom().privateKey)))
    shop = await Shop.open(undefined, async (devnet) => {
      const { deployment, wallets } = devnet
      const [, seller] = wallets
      const signer = ecdsaSigner(seller.privateKey)
      enclave = await registerEnclave(devnet, seller)
      return [
        { kind: 'tee', address: deployment.teeReceiptVerifier ?? ZERO_ADDRESS, signer: enclave.signer },
        { kind: 'voucher', address: deployment.voucherReceiptVerifier, signer },
        {
          kind: 'quorum',
          address: deployment.quorumReceiptVerifier,
          signer,
          quorum: { k: 2, validators: validators.map(({ validator }) => validator), timeoutMs: 2_000, fetch },
        },
      ]
    })
  })
  afterAll(async () => {
    await Promise.all(validators.map((validator) => validator.stop()))
    await shop.close()
  })

  type Offered = { readonly terms: Partial<Terms>; readonly vouchers: boolean }
  const offers: Record<string, () => Offered> = {
    key: () => ({ terms: {}, vouchers: false }),
    voucher: () => ({ terms: { verifier: shop.devnet.deployment.voucherReceiptVerifier }, vouchers: true }),
    quorum: () => ({
      terms: { verifier: shop.devnet.deployment.quorumReceiptVerifier, evidenceKey: quorumKey(quorum()) },
      vouchers: false,
    }),
    'one enclave': () => ({ terms: { verifier: tee(), evidenceKey: enclave.teeId }, vouchers: false }),
    'any enclave of the node': () => ({
      terms: { verifier: tee(), evidenceKey: ownerKey(shop.node.node) },
      vouchers: false,
    }),
  }
  const tee = (): Address => shop.devnet.deployment.teeReceiptVerifier ?? ZERO_ADDRESS

  it.each(['key', 'voucher', 'quorum', 'one enclave', 'any enclave of the node'])(
    'buys, checks each receipt, and is settled on chain: %s',
    async (kind) => {
      const offer = offers[kind]?.() ?? { terms: {}, vouchers: false }
      const url = await shop.sellOn(offer.terms, offer)
      const before = await shop.balanceOf(shop.payer.address)
      const paying = payFetch(shop.payer, shop.options({ quorums: [quorum()] }))
      for (const question of ['one', 'two', 'three']) {
        expect(await (await paying(url, asking(question))).json()).toEqual({ answer: question })
      }
      expect(await shop.balanceOf(shop.payer.address)).toBe(before - 10n ** 18n)
      const order = (await shop.node.store.orders()).at(-1)
      expect(order).toMatchObject({ terms: offer.terms, cumulativeFee: 3n * FEE })
      await shop.node.store.startClosing(order?.orderId ?? '0x', 'requested')
      await expect.poll(() => shop.balanceOf(shop.payer.address), { timeout: 20_000 }).toBe(before - 3n * FEE)
    },
  )

  describe('refuses, with nothing signed', () => {
    const refusal = async (terms: Partial<Terms>, options: { readonly quorums?: readonly Quorum[] } = {}) => {
      const url = await shop.sellOn(terms)
      const asked = shop.openings.length
      const paying = payFetch(shop.payer, shop.options({ quorums: [quorum()], ...options }))
      const error = await errorOf(paying(url, asking('x')))
      expect(await paying.spentToday()).toBe(0n)
      expect(shop.openings).toHaveLength(asked)
      return error
    }

    it('a quorum that it was not told to trust: it could be the seller', async () => {
      const verifier = shop.devnet.deployment.quorumReceiptVerifier
      const own = quorumKey({ k: 1, validators: [shop.node.node] })
      const expected = { code: 'OFFER_REFUSED', field: 'extra.terms.evidenceKey' }
      expect(await refusal({ verifier, evidenceKey: own })).toMatchObject(expected)
      // The same validators, of which fewer would do.
      const weaker = quorumKey({ ...quorum(), k: 1 })
      expect(await refusal({ verifier, evidenceKey: weaker })).toMatchObject(expected)
      expect(await refusal({ verifier, evidenceKey: quorumKey(quorum()) }, { quorums: [] })).toMatchObject(expected)
    })

    it('an enclave that is not registered, and a key that is none', async () => {
      const expected = { code: 'OFFER_REFUSED', field: 'extra.terms.evidenceKey' }
      const odd: Hex = `0x${'0d'.repeat(32)}`
      expect(await refusal({ verifier: tee(), evidenceKey: odd })).toMatchObject(expected)
      expect(await refusal({ evidenceKey: odd })).toMatchObject(expected)
    })

    it('a gateway, which pays for one pinned request only, and says so', async () => {
      const verifier = shop.devnet.deployment.gatewayReceiptVerifier ?? ZERO_ADDRESS
      const error = await refusal({ verifier })
      expect(error).toMatchObject({ code: 'OFFER_REFUSED', field: 'extra.terms.verifier' })
      expect(error).toMatchObject({ message: expect.stringContaining('createGatewayOrder') as string })
    })
  })

  describe('at a seller that names itself the owner of enclaves', () => {
    /** A seller that lies about who signs. */
    const sellerWith = async (signer: Enclave['signer']): Promise<Seller> => {
      const seller = await Seller.start(shop.devnet)
      const { devnet } = shop
      seller.offer = ({ extra, ...offer }) => {
        const terms = { ...Object(extra['terms']), verifier: tee(), evidenceKey: ownerKey(shop.node.node) } as object
        return [{ ...offer, extra: { ...extra, terms } }]
      }
      seller.attack = (answer) => ({ ...answer, receipt: answer.receipt && resigned(answer.receipt) })
      const separator = domainSeparator({ chainId: BigInt(devnet.chainId), escrow: devnet.deployment.escrow })
      const resigned = ({ receipt }: SignedReceipt): SignedReceipt => ({
        receipt,
        signature: signer.signDigest(receiptDigest(separator, receipt)),
        signer: signer.signer,
      })
      return seller
    }
    const buyFrom = async (signer: Enclave['signer']): Promise<unknown> => {
      const seller = await sellerWith(signer)
      try {
        const response = await payFetch(shop.payer, buyerOptions(shop.devnet))(seller.url, asking('x'))
        return response.status
      } catch (error) {
        return error
      } finally {
        await seller.stop()
      }
    }

    it('takes receipts of whichever enclave is its own', async () => {
      const [, node] = shop.devnet.wallets
      expect(await buyFrom((await registerEnclave(shop.devnet, node)).signer)).toBe(200)
    })

    it('an enclave of somebody else signs: that is no receipt', async () => {
      const other = await registerEnclave(shop.devnet, shop.devnet.wallets[5])
      expect(await buyFrom(other.signer)).toMatchObject({ code: 'RECEIPT_INVALID', field: 'signature' })
    })

    it('an enclave of its own that was disabled signs: that is no receipt', async () => {
      const [, node] = shop.devnet.wallets
      const { signer, teeId } = await registerEnclave(shop.devnet, node)
      await (await shop.devnet.contracts.teeRegistry.connect(node).disableTEE(teeId)).wait()
      expect(await buyFrom(signer)).toMatchObject({ code: 'RECEIPT_INVALID', field: 'signature' })
    })

    it('the node key signs, of which no enclave knows: that is no receipt', async () => {
      const [, node] = shop.devnet.wallets
      expect(await buyFrom(ecdsaSigner(node.privateKey))).toMatchObject({ code: 'RECEIPT_INVALID', field: 'signature' })
    })
  })
})
