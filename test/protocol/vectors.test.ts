import { loadFixture, setBalance, setCode } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { AbiCoder, MaxUint256, ZeroAddress, ZeroHash, concat, getCreate2Address, keccak256, type Result } from 'ethers'
import { ethers } from 'hardhat'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { HashHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HashHarness'
import type { SharesHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/SharesHarness'
import { PERMIT2_ADDRESS, deploy, deployFixture, orderIdOf, type Order, type Terms } from '../support/fixture'
import { allocationIdOf, rootOf, sliceIdOf, sliceLeafOf, sliceProofOf, type Holder } from '../support/slices'
import { permitDigest } from '../support/typedData'
import { UPTO_PROXY, uptoFixture } from '../support/upto'

type SharesVector = Readonly<
  Record<
    | 'before'
    | 'cumulative'
    | 'networkBps'
    | 'royaltyBps'
    | 'facilitatorBps'
    | 'node'
    | 'facilitator'
    | 'royalty'
    | 'network',
    string
  >
>

interface OfferVector {
  readonly adapter: string
  readonly offer: { readonly terms: Readonly<Record<keyof Terms, string>>; readonly claimWindow: number }
  readonly offerHash: string
  readonly desk: string
}

/** Amounts are decimal strings: these numbers do not fit JavaScript's. */
interface Vectors {
  readonly typeHashes: Readonly<Record<string, string>>
  readonly witnessTypeString: string
  readonly domains: readonly { chainId: string; escrow: string; separator: string; orderSeed: string }[]
  readonly structs: readonly { type: string; value: Readonly<Record<string, unknown>>; hash: string }[]
  readonly orders: readonly {
    chainId: string
    escrow: string
    token: string
    deadline: string
    terms: Readonly<Record<keyof Terms, string>>
    order: Readonly<Record<Exclude<keyof Order, 'job'>, string>> & { readonly job: Order['job'] }
    workOrderHash: string
    orderId: string
    permitDigest: string
  }[]
  readonly digests: readonly { chainId: string; escrow: string; hash: string; digest: string }[]
  readonly receipts: readonly { receipt: Readonly<Record<string, string>>; hash: string; leaf: string }[]
  readonly models: readonly { registrant: string; name: string; modelId: string }[]
  readonly shares: readonly SharesVector[]
  readonly allocations: readonly {
    holders: readonly Holder[]
    leaves: readonly string[]
    root: string
    proofs: readonly { indexes: readonly number[]; proof: readonly string[] }[]
    allocationId: string
    sliceIds: readonly string[]
  }[]
  readonly deskInitCodeHash: string
  readonly offers: readonly OfferVector[]
  readonly uptoPayments: readonly (Omit<OfferVector, 'desk'> & {
    escrow: string
    payload: {
      readonly signature: string
      readonly permit2Authorization: {
        readonly from: string
        readonly permitted: { readonly token: string; readonly amount: string }
        readonly spender: string
        readonly nonce: string
        readonly deadline: string
        readonly witness: { readonly to: string; readonly facilitator: string; readonly validAfter: string }
      }
    }
    order: Vectors['orders'][number]['order']
    orderId: string
  })[]
  readonly tree: {
    readonly contents: readonly string[]
    readonly leaves: readonly string[]
    readonly trees: readonly {
      size: number
      root: string
      inclusion: readonly { index: number; proof: readonly string[] }[]
    }[]
  }
}

const vectors = JSON.parse(
  readFileSync(resolve(__dirname, '../../packages/protocol/vectors/protocol.json'), 'utf8'),
) as Vectors
const coder = AbiCoder.defaultAbiCoder()

async function harnessFixture() {
  const f = await deployFixture()
  return {
    ...f,
    hashes: await deploy<HashHarness>('HashHarness'),
    sharing: await deploy<SharesHarness>('SharesHarness'),
  }
}

function termsOf(terms: Vectors['orders'][number]['terms']): Terms {
  return { ...terms, facilitatorBps: BigInt(terms.facilitatorBps) }
}

function orderOf(order: Vectors['orders'][number]['order']): Order {
  return { ...order, nonce: BigInt(order.nonce), amount: BigInt(order.amount), claimBy: BigInt(order.claimBy) }
}

describe('vectors of the protocol package, checked by Solidity (E12)', () => {
  it('type hashes and the witness type string', async () => {
    const f = await loadFixture(harnessFixture)
    const names = [
      'Terms',
      'Job',
      'WorkOrder',
      'InferenceRequest',
      'InferenceReceipt',
      'Settlement',
      'SettlementBatch',
      'Voucher',
      'CloseRequest',
      'Allocation',
    ]
    expect(Object.keys(vectors.typeHashes).sort()).to.deep.equal([...names].sort())
    expect([...(await f.hashes.typeHashes())]).to.deep.equal(names.map((name) => vectors.typeHashes[name]))
    expect(await f.hashes.witnessTypeString()).to.equal(vectors.witnessTypeString)
  })

  it('order seeds', async () => {
    const f = await loadFixture(harnessFixture)
    expect(vectors.domains.length).to.be.greaterThan(0)
    for (const { chainId, escrow, orderSeed } of vectors.domains) {
      expect(await f.hashes.seed(chainId, escrow)).to.equal(orderSeed)
    }
  })

  it('the domain separator, by the same rule that the escrow obeys', async () => {
    const f = await loadFixture(harnessFixture)
    const separatorOf = (chainId: bigint, escrow: string) =>
      keccak256(
        coder.encode(
          ['bytes32', 'bytes32', 'bytes32', 'uint256', 'address'],
          [
            keccak256(
              Buffer.from('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'),
            ),
            keccak256(Buffer.from('InferenceEscrow')),
            keccak256(Buffer.from('1')),
            chainId,
            escrow,
          ],
        ),
      )
    expect(await f.escrow.domainSeparator()).to.equal(separatorOf(f.home.chainId, f.home.escrow))
    for (const { chainId, escrow, separator } of vectors.domains)
      expect(separatorOf(BigInt(chainId), escrow)).to.equal(separator)
  })

  /** Which function of the harness hashes a struct, and the members that it takes one by one. */
  const hashers: Readonly<Record<string, string>> = {
    Terms: 'terms',
    InferenceRequest: 'request',
    InferenceReceipt: 'receipt',
    Settlement: 'settlement',
    SettlementBatch: 'settlementBatch',
    Voucher: 'voucher',
    CloseRequest: 'closeRequest',
  }
  for (const [type, name] of Object.entries(hashers)) {
    it(`struct hashes of ${type}`, async () => {
      const f = await loadFixture(harnessFixture)
      const cases = vectors.structs.filter((vector) => vector.type === type)
      expect(cases.length).to.be.greaterThan(0)
      for (const { value, hash } of cases) {
        const args = type === 'SettlementBatch' ? [value.node, value.evidenceKey, value.settlements] : [value]
        const answer: Result = await f.hashes.getFunction(name).staticCallResult(...args)
        expect(answer[0]).to.equal(hash)
      }
    })
  }

  it('struct hashes of WorkOrder, with the Job inside', async () => {
    const f = await loadFixture(harnessFixture)
    const cases = vectors.structs.filter((vector) => vector.type === 'WorkOrder')
    expect(cases.length).to.be.greaterThan(0)
    for (const { value, hash } of cases) {
      const { terms, job, claimBy } = value as {
        terms: Vectors['orders'][number]['terms']
        job: Order['job']
        claimBy: string
      }
      const order = { payer: ZeroAddress, nonce: 0n, amount: 0n, job, claimBy }
      const [, witness] = await f.hashes.order(ZeroHash, await f.hashes.terms(termsOf(terms)), order)
      expect(witness).to.equal(hash)
    }
  })

  it('struct hashes of Allocation, with the order id in front', async () => {
    const f = await loadFixture(harnessFixture)
    const cases = vectors.structs.filter((vector) => vector.type === 'Allocation')
    expect(cases.length).to.be.greaterThan(0)
    for (const { value, hash } of cases) {
      const { orderId, ...allocation } = value as Record<'orderId' | 'root' | 'count' | 'cap' | 'series', string>
      expect(await f.hashes.allocation(orderId, allocation)).to.equal(hash)
      const same = { ...allocation, count: Number(allocation.count), cap: BigInt(allocation.cap) }
      expect(allocationIdOf(orderId, { ...same, series: BigInt(allocation.series) })).to.equal(hash)
    }
  })

  it('covers every struct', () => {
    const tested = new Set([...Object.keys(hashers), 'Job', 'WorkOrder', 'Allocation'])
    expect(vectors.structs.filter(({ type }) => !tested.has(type))).to.deep.equal([])
  })

  it('work orders and order ids, by the contract and by the tests alike', async () => {
    const f = await loadFixture(harnessFixture)
    expect(vectors.orders.length).to.be.greaterThan(0)
    for (const vector of vectors.orders) {
      const [terms, order] = [termsOf(vector.terms), orderOf(vector.order)]
      const seed = await f.hashes.seed(vector.chainId, vector.escrow)
      const [id, witness] = await f.hashes.order(seed, await f.hashes.terms(terms), order)
      expect([id, witness]).to.deep.equal([vector.orderId, vector.workOrderHash])
      const home = { chainId: BigInt(vector.chainId), escrow: vector.escrow, token: vector.token }
      expect(orderIdOf(home, terms, order)).to.equal(vector.orderId)
      expect(permitDigest(home, terms, order, BigInt(vector.deadline))).to.equal(vector.permitDigest)
    }
  })

  it('digests under a domain', () => {
    for (const { chainId, escrow, hash, digest } of vectors.digests) {
      const separator = vectors.domains.find(
        (domain) => domain.chainId === chainId && domain.escrow === escrow,
      )?.separator
      expect(separator).not.to.equal(undefined)
      expect(keccak256(concat(['0x1901', separator ?? '0x', hash]))).to.equal(digest)
    }
  })

  it('receipt leaves', async () => {
    const f = await loadFixture(harnessFixture)
    for (const { hash, leaf } of vectors.receipts) expect(await f.hashes.leaf(hash)).to.equal(leaf)
    for (const [i, content] of vectors.tree.contents.entries())
      expect(await f.hashes.leaf(content)).to.equal(vectors.tree.leaves[i])
  })

  it('roots and inclusion proofs of the receipt tree', async () => {
    const f = await loadFixture(harnessFixture)
    const { leaves, trees } = vectors.tree
    let proofs = 0
    for (const { size, root, inclusion } of trees) {
      expect(await f.hashes.root(leaves.slice(0, size)), `root of ${String(size)}`).to.equal(root)
      for (const { index, proof } of inclusion) {
        proofs++
        const leaf = leaves[index] ?? '0x'
        expect(
          await f.hashes.verifyInclusion(root, size, index, leaf, [...proof]),
          `${String(index)} of ${String(size)}`,
        ).to.equal(true)
      }
    }
    expect(proofs).to.be.greaterThan(0)
  })

  it('refuses inclusion proofs with anything altered', async () => {
    const f = await loadFixture(harnessFixture)
    const { leaves, trees } = vectors.tree
    for (const { size, root, inclusion } of trees.filter(({ size }) => size > 1)) {
      for (const { index, proof } of inclusion.slice(0, 8)) {
        const leaf = leaves[index] ?? '0x'
        const other = leaves[(index + 1) % size] ?? '0x'
        const altered: [string, number, number, string, string[]][] = [
          [root, size, index, other, [...proof]],
          [other, size, index, leaf, [...proof]],
          [root, size, (index + 1) % size, leaf, [...proof]],
          [root, size, size, leaf, [...proof]],
          [root, index, index, leaf, [...proof]],
          [root, size, index, leaf, [...proof, other]],
          [root, size, index, leaf, proof.slice(1)],
          [root, size, index, leaf, proof.slice(0, -1)],
          [root, size, index, leaf, [other, ...proof.slice(1)]],
        ]
        for (const [i, args] of altered.entries()) {
          const isSame =
            args[4].join() === proof.join() &&
            args[3] === leaf &&
            args[2] === index &&
            args[1] === size &&
            args[0] === root
          if (isSame) continue
          expect(
            await f.hashes.verifyInclusion(...args),
            `alteration ${String(i)} of ${String(index)} in ${String(size)}`,
          ).to.equal(false)
        }
      }
    }
    // A root is of one size: a proof for it ends nowhere else, whoever says that the tree is smaller or larger.
    const [first = '0x', second = '0x'] = leaves
    const pair = await f.hashes.root([first, second])
    for (const size of [1, 3, 4, 5]) {
      expect(await f.hashes.verifyInclusion(pair, size, 0, first, [second]), String(size)).to.equal(false)
    }
    expect(await f.hashes.verifyInclusion(pair, 1, 0, second, [first])).to.equal(false)
    expect(await f.hashes.verifyInclusion(await f.hashes.root([]), 0, 0, leaves[0] ?? '0x', [])).to.equal(false)
  })

  /** Rows as the contract takes them, where only index and holder matter. */
  function sliceRowsOf(holders: readonly Holder[], indexes: readonly number[]) {
    return indexes.map((index) => {
      const { node, evidenceKey } = holders[index] ?? { node: ZeroAddress, evidenceKey: ZeroHash }
      return { index, node, evidenceKey, fee: 0n, receiptsRoot: ZeroHash, receiptCount: 0n, evidence: '0x' }
    })
  }

  it('leaves, slice ids, roots and proofs of allocations, by the contract and by the tests alike', async () => {
    const f = await loadFixture(harnessFixture)
    let proven = 0
    for (const { holders, leaves, root, proofs, allocationId, sliceIds } of vectors.allocations) {
      expect(holders.map(sliceLeafOf)).to.deep.equal(leaves)
      expect(holders.map((_, index) => sliceIdOf(allocationId, index))).to.deep.equal(sliceIds)
      expect(rootOf(holders)).to.equal(root)
      for (const index of new Set([0, holders.length >> 1, holders.length - 1])) {
        const { node, evidenceKey } = holders[index] ?? { node: ZeroAddress, evidenceKey: ZeroHash }
        expect(await f.hashes.sliceLeaf(node, evidenceKey)).to.equal(leaves[index])
        expect(await f.hashes.slice(allocationId, index)).to.equal(sliceIds[index])
      }
      const allocation = { root, count: holders.length, cap: 1n, series: 0n }
      for (const { indexes, proof } of proofs) {
        proven++
        expect(sliceProofOf(holders, indexes)).to.deep.equal(proof)
        const rows = sliceRowsOf(holders, indexes)
        expect(await f.hashes.areAllocated(allocation, rows, [...proof]), indexes.join()).to.equal(true)
        // One bit of one sibling, or of the root, and it is another tree.
        for (const at of proof.keys()) {
          const altered = proof.map((hash, i) => (i === at ? keccak256(hash) : hash))
          expect(await f.hashes.areAllocated(allocation, rows, altered), `altered ${String(at)}`).to.equal(false)
        }
        expect(await f.hashes.areAllocated({ ...allocation, root: allocationId }, rows, [...proof])).to.equal(false)
      }
    }
    expect(proven).to.be.greaterThan(0)
  })

  it('offers, as the salts of their desks', async () => {
    const f = await loadFixture(uptoFixture)
    const adapter = await f.adapter.getAddress()
    const initCodeHash = await f.adapter.DESK_INIT_CODE_HASH()
    expect(vectors.offers.length).to.be.greaterThan(0)
    for (const { offer, offerHash } of vectors.offers) {
      const desk = getCreate2Address(adapter, offerHash, initCodeHash)
      expect(await f.adapter.deskOf(termsOf(offer.terms), offer.claimWindow)).to.equal(desk)
    }
  })

  it('stock payments: Permit2 takes their signatures through the proxy, and they are these orders', async () => {
    const f = await loadFixture(uptoFixture)
    expect(vectors.uptoPayments.length).to.be.greaterThan(0)
    const dev = await ethers.provider.getCode(f.home.token)
    const { interface: proxy } = await ethers.getContractAt('DevUptoProxy', UPTO_PROXY)
    for (const { escrow, offer, payload, order, orderId } of vectors.uptoPayments) {
      const { from, permitted, nonce, deadline, witness, spender } = payload.permit2Authorization
      expect(spender).to.equal(UPTO_PROXY)
      await setCode(permitted.token, dev)
      const token = await ethers.getContractAt('DevOPG', permitted.token)
      await token.getFunction('mint')(from, permitted.amount)
      await token.connect(await ethers.getImpersonatedSigner(from)).getFunction('approve')(PERMIT2_ADDRESS, MaxUint256)
      await setBalance(witness.facilitator, 10n ** 20n)
      const desk = await ethers.getImpersonatedSigner(witness.facilitator)
      const permit = { permitted, nonce, deadline }
      const data = proxy.encodeFunctionData('settle', [permit, permitted.amount, from, witness, payload.signature])
      await expect(desk.sendTransaction({ to: UPTO_PROXY, data })).to.changeTokenBalance(
        token,
        witness.to,
        BigInt(permitted.amount),
      )
      const home = { chainId: f.home.chainId, escrow, token: permitted.token }
      expect(orderIdOf(home, termsOf(offer.terms), orderOf(order))).to.equal(orderId)
    }
  })

  it('model ids', async () => {
    const f = await loadFixture(harnessFixture)
    const registry = f.registry.connect(ethers.provider)
    for (const { registrant, name, modelId } of vectors.models) {
      expect(await registry.register.staticCall(name, 0, { from: registrant })).to.equal(modelId)
    }
  })

  it('shares', async () => {
    const f = await loadFixture(harnessFixture)
    expect(vectors.shares.length).to.be.greaterThan(0)
    for (const { before, cumulative, networkBps, royaltyBps, facilitatorBps, ...expected } of vectors.shares) {
      const shares = await f.sharing.settleTogether(
        [{ before, cumulativeFee: cumulative, networkBps, royaltyBps }],
        facilitatorBps,
      )
      const found = {
        node: shares.node,
        facilitator: shares.facilitator,
        royalty: shares.royalty,
        network: shares.network,
      }
      for (const name of ['node', 'facilitator', 'royalty', 'network'] as const) {
        expect(
          found[name],
          `${name} of ${before}..${cumulative} at ${networkBps}/${royaltyBps}/${facilitatorBps}`,
        ).to.equal(BigInt(expected[name]))
      }
    }
  })
})
