import { gatewayText, gatewayInputHash, gatewayReference, type Hex, ZERO_ADDRESS, ZERO_BYTES32 } from '@opg/protocol'
import { keccak256 } from 'ethers'
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ecdsaSigner } from '../../src/receipts/ecdsaSigner.js'
import { rsaPssSigner } from '../../src/receipts/rsaPssSigner.js'
import type { VerifierOptions } from '../../src/service/acceptVerifier.js'
import type { PaymentNode } from '../../src/service/openNode.js'
import { gatewayAnswer, gatewayIdentity } from '../standInGateway.js'
import { outcomeOf, setUpNode } from '../support/fixture.js'
import { type OpenOrder, orderInput } from '../support/world.js'

const FOREVER = { signal: new AbortController().signal }
const REQUEST = { model: 'm', messages: [{ role: 'user', content: 'hi' }], max_tokens: 5 }

// What these settle is proved by the same receipts as in `e2e/gateway`, where HTTP and the payer are real.
describe('the payment core in front of a gateway', () => {
  const t = setUpNode({ isolated: true })
  const gateway = gatewayIdentity()

  const address = (): Hex => t.world.devnet.deployment.gatewayReceiptVerifier ?? ZERO_ADDRESS
  const options = (teeId: Hex = gateway.teeId): VerifierOptions => ({
    kind: 'gateway',
    address: address(),
    teeId,
    signer: ecdsaSigner(t.world.node.privateKey),
  })
  const register = async (der: Uint8Array): Promise<void> => {
    await (await t.world.devnet.contracts.teeRegistry.register(der, ZERO_ADDRESS, '', 0)).wait()
  }
  const setEnabled = async (isEnabled: boolean): Promise<void> => {
    const { teeRegistry } = t.world.devnet.contracts
    await (await (isEnabled ? teeRegistry.enableTEE(gateway.teeId) : teeRegistry.disableTEE(gateway.teeId))).wait()
  }
  const pinned = () => ({
    terms: { verifier: address(), evidenceKey: gateway.teeId },
    order: { job: { requester: t.world.requester.address as Hex, requestHash: gatewayInputHash(REQUEST) } },
  })
  /** A call that the gateway answers. */
  const call = (
    { order, ...rest }: OpenOrder,
    { teeIds = [gateway.teeId], timestamp }: { readonly teeIds?: readonly Hex[]; readonly timestamp?: number } = {},
  ) => {
    const about = { chainId: BigInt(t.world.devnet.chainId), escrow: t.world.escrow }
    const { payer, nonce, amount } = order
    return t.world.call(
      { order, ...rest },
      {
        index: 0n,
        maxFee: amount,
        gateway: {
          teeIds,
          read: () => ({
            inputHash: gatewayInputHash(REQUEST),
            reference: gatewayReference({ ...about, payer, nonce }),
          }),
          run: async ({ emit }) => {
            const script = { text: 'hello', ...(timestamp === undefined ? {} : { timestamp }) }
            await emit(Buffer.from(gatewayAnswer(gateway, gatewayText(REQUEST), script)))
            return { usage: { inputTokens: 1n, outputTokens: 1n }, contentType: 'application/json' }
          },
        },
      },
    )
  }
  const within = (use: (node: PaymentNode) => Promise<void>, databasePath = t.world.freshBooks()): Promise<void> =>
    t.withNode({ databasePath, verifiers: [options()] }, use)

  it('takes no slices: no gateway’s receipt is for one', async () => {
    await register(gateway.der)
    await within(async (node) => {
      const [slice] = await t.world.openSlices({ terms: pinned().terms })
      expect(await node.service.admitOrder(orderInput(slice))).toMatchObject({ reason: 'order-not-single' })
    })
  })

  it('asks no other work than the gateway’s: a model that none serves, or another one', async () => {
    await register(gateway.der)
    await within(async (node) => {
      const order = await t.world.admitted(node, pinned())
      expect(outcomeOf(await node.service.serve({ ...call(order), gateway: undefined }))).toBe('request-not-pinned')
      expect(outcomeOf(await node.service.serve(call(order, { teeIds: [ZERO_BYTES32] })))).toBe('wrong-model')
      expect(outcomeOf(await node.service.serve(call(order)))).toBe('served')
    })
  })

  it('an answer that the chain does not take yet holds up no other in its batch (E8)', async () => {
    await register(gateway.der)
    const aheadSeconds = 600
    const clock = (): number => Date.now() + aheadSeconds * 1_000
    await t.withNode({ verifiers: [options()], clock }, async (node) => {
      const [early, good] = [await t.world.admitted(node, pinned()), await t.world.admitted(node, pinned())]
      const timestamp = (await t.world.devnet.now()) + aheadSeconds
      expect(outcomeOf(await node.service.serve(call(early, { timestamp })))).toBe('served')
      expect(outcomeOf(await node.service.serve(call(good)))).toBe('served')
      await node.settler.settleAll(FOREVER)
      expect([await t.settledEvents(early), await t.settledEvents(good)]).toEqual([0, 1])
      await t.world.devnet.increaseTime(aheadSeconds)
      await node.settler.settleAll(FOREVER)
      expect(await t.settledEvents(early)).toBe(1)
    })
  })

  it('an order that nobody used is given back when its payer asks, as nothing can be proved of it', async () => {
    await register(gateway.der)
    await within(async (node) => {
      const order = await t.world.admitted(node, pinned())
      await node.service.requestClose(t.world.signClose(order))
      await node.settler.settleAll(FOREVER)
      expect(await t.chainState(order)).toMatchObject({ closed: true })
      expect(await t.settledEvents(order)).toBe(0)
    })
  })

  it('the gateway is disabled: what it signed waits, nothing new is taken, and stored answers are given', async () => {
    await register(gateway.der)
    const databasePath = t.world.freshBooks()
    let order: OpenOrder | undefined
    await within(async (node) => {
      order = await t.world.admitted(node, pinned())
      expect(outcomeOf(await node.service.serve(call(order)))).toBe('served')
    }, databasePath)
    const answered = order ?? (await t.world.draft())
    await setEnabled(false)
    await within(async (node) => {
      expect(outcomeOf(await node.service.serve(call(answered)))).toBe('replayed')
      const fresh = await t.world.open(pinned())
      expect(await node.service.admitOrder(orderInput(fresh))).toMatchObject({ status: 'refused' })
      await node.settler.settleAll(FOREVER)
      expect(await t.settledEvents(answered)).toBe(0)
      await setEnabled(true)
      await node.settler.settleAll(FOREVER)
      expect(await t.settledEvents(answered)).toBe(1)
    }, databasePath)
  })

  it('does not start with a key that the verifier would not take', async () => {
    const { publicKey } = generateKeyPairSync('ed25519')
    const der = publicKey.export({ type: 'spki', format: 'der' })
    await register(der)
    const unusable = { code: 'KEY_UNUSABLE' }
    await expect(t.world.openNode({ verifiers: [options(keccak256(der) as Hex)] })).rejects.toMatchObject(unusable)
    const pem = gateway.key.export({ type: 'pkcs8', format: 'pem' }).toString()
    const signedByEnclave = { ...options(), signer: rsaPssSigner(pem) } as VerifierOptions
    await expect(t.world.openNode({ verifiers: [signedByEnclave] })).rejects.toMatchObject(unusable)
  })
})
