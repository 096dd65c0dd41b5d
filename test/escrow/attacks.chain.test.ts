import { expect } from 'chai'
import { JsonRpcProvider, MaxUint256, TypedDataEncoder, Wallet, ZeroHash, id, toQuantity } from 'ethers'
import { spawn, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'
import type { DevOPG } from '../../packages/bindings/src/generated/typechain/contracts/dev/DevOPG'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'
import {
  DAY,
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  escrowDomain,
  orderIdOf,
  settleRow,
  settlementEvidence,
  signOrder,
  type Home,
  type Order,
  type Terms,
} from '../support/fixture'
import { permit2Deployment } from '../support/permit2'

const OLD_CHAIN_ID = 31_337n
const NEW_CHAIN_ID = 10_744n

/** A chain process of its own: Hardhat's network cannot change its chain id. */
async function startChain(): Promise<{ chain: ChildProcess; url: string }> {
  const anvil = resolve(__dirname, '../../node_modules/.bin/anvil')
  const chain = spawn(anvil, ['--port', '0', '--hardfork', 'prague', '--chain-id', OLD_CHAIN_ID.toString()])
  const url = await new Promise<string>((found, failed) => {
    let output = ''
    chain.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const listening = /Listening on (\S+)/.exec(output)?.[1]
      if (listening !== undefined) found(`http://${listening}`)
    })
    chain.once('error', failed)
    chain.once('exit', () => {
      failed(new TypeError(`anvil ended before it listened: ${output}`))
    })
  })
  return { chain, url }
}

describe('attacks on the chain itself', () => {
  let chain: ChildProcess | undefined
  const providers: JsonRpcProvider[] = []
  after(() => {
    for (const provider of providers) provider.destroy()
    chain?.kill()
  })

  /** A provider knows one chain id only, so that a renumbered chain needs a new one. */
  async function connect(url: string) {
    const provider = new JsonRpcProvider(url, undefined, { cacheTimeout: -1 })
    providers.push(provider)
    const [payer, node] = [new Wallet(id('payer'), provider), new Wallet(id('node'), provider)]
    for (const { address } of [payer, node]) await provider.send('anvil_setBalance', [address, toQuantity(OPG)])
    return { provider, payer, node }
  }

  it('chain renumbers: open orders settle, are released and reclaimed, and new ones open, under their old ids (F18)', async () => {
    const started = await startChain()
    chain = started.chain
    const { provider, payer, node } = await connect(started.url)
    await (await payer.sendTransaction(permit2Deployment())).wait()
    const token = await deploy<DevOPG>('DevOPG', [], payer)
    const policy = await deploy('FeePolicy', [payer.address, 0, payer.address], payer)
    const registry = await deploy('ModelRegistry', [], payer)
    const verifier = await deploy('KeyReceiptVerifier', [], payer)
    const addresses = [
      await token.getAddress(),
      PERMIT2_ADDRESS,
      await policy.getAddress(),
      await registry.getAddress(),
    ]
    const escrow = await deploy<InferenceEscrow>('InferenceEscrow', addresses, payer)
    await (await token.mint(payer.address, 100n * OPG)).wait()
    await (await token.approve(PERMIT2_ADDRESS, MaxUint256)).wait()

    const home: Home = { chainId: OLD_CHAIN_ID, escrow: await escrow.getAddress(), token: await token.getAddress() }
    const terms: Terms = {
      node: node.address,
      facilitator: payer.address,
      facilitatorBps: 0n,
      verifier: await verifier.getAddress(),
      evidenceKey: ZeroHash,
      modelId: ZeroHash,
    }
    const latest = await provider.getBlock('latest')
    const claimBy = BigInt(latest?.timestamp ?? 0) + DAY
    const orderWith = (nonce: bigint): Order => ({
      payer: payer.address,
      nonce,
      amount: 10n * OPG,
      job: { requester: payer.address, requestHash: ZeroHash },
      claimBy,
    })
    const [settled, released, reclaimed, late] = [orderWith(0n), orderWith(1n), orderWith(2n), orderWith(3n)]
    for (const order of [settled, released, reclaimed]) {
      await (await escrow.open(terms, await signOrder({ home, terms }, payer, order))).wait()
    }
    const idBefore = await escrow.orderId(terms, settled)
    const rows = [settleRow(settled, OPG, { close: true })]
    const oldEvidence = await settlementEvidence({ home, terms }, node, rows)

    await provider.send('anvil_setChainId', [Number(NEW_CHAIN_ID)])
    const now = await connect(started.url)
    const renumbered = escrow.connect(now.payer)
    const separator = TypedDataEncoder.hashDomain(escrowDomain({ ...home, chainId: NEW_CHAIN_ID }))
    expect(await renumbered.domainSeparator()).to.equal(separator)
    expect(await renumbered.deploymentChainId()).to.equal(OLD_CHAIN_ID)
    expect(await renumbered.orderId(terms, settled)).to.equal(idBefore)
    expect(idBefore).to.equal(orderIdOf(home, terms, settled))

    // Signatures are made for the chain as it is called now; what was signed for its old name is refused.
    const refused = await renumbered.settle.staticCall(terms, rows, oldEvidence).then(() => 'settled', String)
    expect(refused).to.contain('EvidenceRefused')
    const evidence = await settlementEvidence({ home, terms }, now.node, rows, { chainId: NEW_CHAIN_ID })
    await (await renumbered.settle(terms, rows, evidence)).wait()
    expect(await renumbered.credits(node.address)).to.equal(OPG)
    await (await renumbered.connect(now.node).release(terms, released)).wait()
    await (
      await renumbered.open(terms, await signOrder({ home, terms }, now.payer, late, { chainId: NEW_CHAIN_ID }))
    ).wait()
    expect((await renumbered.orders(orderIdOf(home, terms, late))).amount).to.equal(late.amount)

    await now.provider.send('evm_setNextBlockTimestamp', [Number(claimBy)])
    await (await renumbered.reclaim(terms, reclaimed)).wait()
    expect((await renumbered.orders(orderIdOf(home, terms, reclaimed))).closed).to.equal(true)
    expect(await token.connect(now.provider).balanceOf(home.escrow)).to.equal(late.amount + OPG)
  }).timeout(60_000)
})
