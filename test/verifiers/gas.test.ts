import { expect } from 'chai'
import {
  SigningKey,
  TypedDataEncoder,
  Wallet,
  ZeroAddress,
  ZeroHash,
  concat,
  dataLength,
  getBytes,
  id,
  keccak256,
  zeroPadValue,
  type BaseContract,
} from 'ethers'
import { ethers } from 'hardhat'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { VerifierMeter } from '../../packages/bindings/src/generated/typechain/contracts/dev/VerifierMeter'
import type { DevTEERegistry } from '../../packages/bindings/src/generated/typechain/contracts/dev/DevTEERegistry'
import type { GatewayReceiptVerifier } from '../../packages/bindings/src/generated/typechain/contracts/verifiers/GatewayReceiptVerifier'
import type { TeeReceiptVerifier } from '../../packages/bindings/src/generated/typechain/contracts/verifiers/TeeReceiptVerifier'
import { newRsaKey, signPss } from '../crypto/pss'
import { OPG, deploy, escrowDomain, namedAccounts, now } from '../support/fixture'
import {
  ACCEPTED,
  gatewayDigest,
  leafOf,
  packGatewayReceipt,
  packReceipt,
  quorumEvidence,
  quorumKey,
  receiptDigest,
  receiptLeaf,
  signVoucher,
  type Row,
} from '../support/evidence'

const DIGEST = id('batch')
const MANY = 100
/** Registries, and zero bytes of signatures, differ a little. */
const TOLERANCE = 0.02

/** What `docs/verifiers/README.md` says: gas and bytes of evidence, for a batch and for each row of it. */
interface Cost {
  readonly batchGas: number
  readonly rowGas: number
  readonly batchBytes: number
  readonly rowBytes: number
}

interface Case {
  readonly verifier: BaseContract
  readonly evidenceKey: string
  readonly rows: (count: number) => readonly Row[]
  readonly evidence: (rows: readonly Row[]) => Promise<string>
}

function documented(name: string): Cost {
  const page = readFileSync(join(__dirname, '../../docs/verifiers/README.md'), 'utf8')
  const line = page.split('\n').find((text) => text.startsWith(`| ${name} |`))
  const [batchGas, rowGas, batchBytes, rowBytes] = (line ?? '')
    .split('|')
    .slice(2)
    .map((cell) => Number(cell.replaceAll(',', '')))
  if (batchGas === undefined || rowGas === undefined || batchBytes === undefined || rowBytes === undefined) {
    throw new TypeError(`docs/verifiers/README.md has no cost for ${name}`)
  }
  return { batchGas, rowGas, batchBytes, rowBytes }
}

async function world() {
  const { chainId } = await ethers.provider.getNetwork()
  const home = { chainId, escrow: ZeroAddress }
  const { node, requester } = await namedAccounts()
  const meter = await deploy<VerifierMeter>('VerifierMeter', [TypedDataEncoder.hashDomain(escrowDomain(home))])
  const key = newRsaKey(2048)
  const teeId = keccak256(key.der)
  const tees = await deploy<DevTEERegistry>('DevTEERegistry')
  await tees.connect(node).register(key.der, node, 'https://node.example', 0)
  const tee = await deploy<TeeReceiptVerifier>('TeeReceiptVerifier', [await tees.getAddress()])
  const gateway = await deploy<GatewayReceiptVerifier>('GatewayReceiptVerifier', [await tees.getAddress()])
  for (const verifier of [tee, gateway]) await verifier.cacheKey(teeId)
  return { home, node, requester, meter, key, teeId, tee, gateway, openedAt: await now() }
}
type World = Awaited<ReturnType<typeof world>>

function rowsOf(w: World, count: number, changes: (index: number) => Partial<Row> = () => ({})): Row[] {
  return Array.from({ length: count }, (_, i) => ({
    orderId: id(`order ${String(i)}`),
    requester: w.requester.address,
    requestHash: ZeroHash,
    amount: OPG,
    released: 0n,
    openedAt: w.openedAt,
    cumulativeFee: OPG,
    receiptsRoot: id(`root ${String(i)}`),
    receiptCount: 3n,
    close: true,
    ...changes(i),
  }))
}

const signKey = new SigningKey(id('node key'))
const keyOfNode = zeroPadValue(new Wallet(signKey).address, 32)

function quorum(k: number, n: number) {
  const keys = Array.from({ length: n }, (_, i) => new SigningKey(id(`validator ${String(i)}`)))
  const sorted = keys
    .map((key) => ({ key, address: new Wallet(key).address.toLowerCase() }))
    .sort((a, b) => (a.address < b.address ? -1 : 1))
  const validators = sorted.map(({ address }) => address)
  const signatures = sorted.slice(0, k).map(({ key }) => key.sign(DIGEST).serialized)
  return {
    evidenceKey: quorumKey(k, validators),
    evidence: quorumEvidence({ k, validators, signers: (1n << BigInt(k)) - 1n, signatures }),
  }
}

const CASES: Readonly<Record<string, (w: World) => Promise<Case>>> = {
  KeyReceiptVerifier: async (w) => ({
    verifier: await deploy('KeyReceiptVerifier'),
    evidenceKey: keyOfNode,
    rows: (count) => rowsOf(w, count),
    evidence: async () => Promise.resolve(signKey.sign(DIGEST).serialized),
  }),
  VoucherReceiptVerifier: async (w) => ({
    verifier: await deploy('VoucherReceiptVerifier'),
    evidenceKey: keyOfNode,
    rows: (count) => rowsOf(w, count),
    evidence: async (rows) => {
      const vouchers = rows.map(async ({ orderId }) =>
        signVoucher(w.home, w.requester, { orderId, node: w.node.address, maxCumulativeFee: OPG }),
      )
      return concat([signKey.sign(DIGEST).serialized, ...(await Promise.all(vouchers))])
    },
  }),
  'QuorumReceiptVerifier, 2 of 3': (w) => quorumCase(w, 2, 3),
  'QuorumReceiptVerifier, 5 of 9': (w) => quorumCase(w, 5, 9),
  'TeeReceiptVerifier, form 0': (w) =>
    Promise.resolve({
      verifier: w.tee,
      evidenceKey: w.teeId,
      rows: (count) => rowsOf(w, count),
      evidence: async () => Promise.resolve(concat(['0x00', w.teeId, signPss(w.key, getBytes(DIGEST))])),
    }),
  'TeeReceiptVerifier, form 1': (w) => {
    const receiptOf = (index: number) => ({
      orderId: id(`order ${String(index)}`),
      node: w.node.address,
      seq: 2n,
      requestId: id('request'),
      responseHash: id('response'),
      fee: OPG,
      cumulativeFee: OPG,
      timestamp: w.openedAt,
    })
    return Promise.resolve({
      verifier: w.tee,
      evidenceKey: w.teeId,
      rows: (count) => rowsOf(w, count, (i) => ({ receiptsRoot: receiptLeaf(receiptOf(i)), close: false })),
      evidence: async (rows) => {
        const packed = rows.map((_, i) =>
          packReceipt(receiptOf(i), signPss(w.key, getBytes(receiptDigest(w.home, receiptOf(i))))),
        )
        return Promise.resolve(concat(['0x01', w.teeId, ...packed]))
      },
    })
  },
  GatewayReceiptVerifier: (w) => {
    const receiptOf = (index: number) => ({
      inputHash: id(`input ${String(index)}`),
      outputHash: id(`output ${String(index)}`),
      timestamp: w.openedAt,
    })
    return Promise.resolve({
      verifier: w.gateway,
      evidenceKey: w.teeId,
      rows: (count) =>
        rowsOf(w, count, (i) => ({
          requestHash: receiptOf(i).inputHash,
          receiptsRoot: leafOf(gatewayDigest(receiptOf(i))),
          receiptCount: 1n,
        })),
      evidence: async (rows) =>
        Promise.resolve(
          concat(
            rows.map((_, i) => packGatewayReceipt(receiptOf(i), signPss(w.key, getBytes(gatewayDigest(receiptOf(i)))))),
          ),
        ),
    })
  },
}

async function quorumCase(w: World, k: number, n: number): Promise<Case> {
  const { evidenceKey, evidence } = quorum(k, n)
  return {
    verifier: await deploy('QuorumReceiptVerifier'),
    evidenceKey,
    rows: (count) => rowsOf(w, count),
    evidence: async () => Promise.resolve(evidence),
  }
}

async function measure(w: World, { verifier, evidenceKey, rows, evidence }: Case, count: number) {
  const asked = rows(count)
  const given = await evidence(asked)
  const question = verifier.interface.encodeFunctionData('verify', [w.node.address, evidenceKey, DIGEST, asked, given])
  const { answer, gasUsed } = await w.meter.meter(verifier, question, { gasLimit: 30_000_000 })
  expect(answer).to.equal(ACCEPTED.padEnd(66, '0'))
  return { gas: Number(gasUsed), bytes: dataLength(given) }
}

describe('gas of verifiers', () => {
  for (const [name, create] of Object.entries(CASES)) {
    it(`${name} costs what its page says`, async function () {
      this.timeout(60_000)
      const w = await world()
      const given = await create(w)
      const one = await measure(w, given, 1)
      const many = await measure(w, given, MANY)
      const rowGas = (many.gas - one.gas) / (MANY - 1)
      const rowBytes = (many.bytes - one.bytes) / (MANY - 1)
      const cost: Cost = { batchGas: one.gas - rowGas, rowGas, batchBytes: one.bytes - rowBytes, rowBytes }
      const said = documented(name)
      for (const member of ['batchGas', 'rowGas'] as const) {
        const slack = Math.max(150, TOLERANCE * cost[member])
        expect(said[member], `${member}: ${String(cost[member])}`).to.be.closeTo(cost[member], slack)
      }
      expect(said.batchBytes).to.equal(cost.batchBytes)
      expect(said.rowBytes).to.equal(cost.rowBytes)
    })
  }
})
