import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { MaxUint256, concat, dataLength, dataSlice, hexlify, randomBytes, toBeHex } from 'ethers'
import type { ExactWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/ExactWallet'
import type { HostileFunder } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileFunder'
import type { HostileVerifier } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileVerifier'
import {
  GAS_PER_ORDER,
  OPG,
  PERMIT2_ADDRESS,
  createPayer,
  deploy,
  deployFixture,
  makeOrder,
  openOrder,
  settleRow,
  settlementEvidence,
  signOrder,
  type Fixture,
  type SignedOrder,
} from '../support/fixture'
import { allocate, openRouted, plan, routedFixture, settleSlicesArgs, sliceRow } from '../support/routed'
import { permitDigest } from '../support/typedData'

/** A call cut into its selector and its words, so that a test can put anything into any of them. */
class Call {
  readonly #selector: string
  readonly #words: string[]

  constructor(data: string) {
    this.#selector = dataSlice(data, 0, 4)
    this.#words = []
    for (let at = 4; at < dataLength(data); at += 32) this.#words.push(dataSlice(data, at, at + 32))
  }

  word(index: number): bigint {
    return BigInt(this.#words[index] ?? '0x0')
  }

  /** The call with one word replaced. Taken modulo 2^256, so that an offset can point backwards. */
  with(index: number, value: bigint): string {
    const words = [...this.#words]
    words[index] = toBeHex(BigInt.asUintN(256, value), 32)
    return concat([this.#selector, ...words])
  }
}

async function honestOrder(f: Fixture, name: string): Promise<SignedOrder> {
  const payer = await createPayer(f.token, name)
  return signOrder(f, payer, await makeOrder(f, { payer: payer.address }))
}

async function lives(f: Fixture, data: string): Promise<boolean> {
  return f.stranger.call({ to: f.home.escrow, data, gasLimit: 10_000_000n }).then(
    () => true,
    () => false,
  )
}

describe('attacks on the encoding of calls', () => {
  // Words of a batch of two: 6 offset of the orders, 8 their number, 9 and 10 their offsets (from word 9 on); an order
  // has 8 words, the last one the offset of its signature, and 4 more of signature.
  async function batchOfTwo() {
    const f = await deployFixture()
    const signed = [await honestOrder(f, 'a'), await honestOrder(f, 'b')]
    const call = new Call(f.escrow.interface.encodeFunctionData('openBatch', [f.terms, signed, GAS_PER_ORDER]))
    return { f, signed, call }
  }

  /** Which orders a batch opens, or undefined where it reverts; and that the escrow received as many. */
  async function openWith(f: Fixture, data: string): Promise<boolean[] | undefined> {
    const answer = await f.stranger.call({ to: f.home.escrow, data, gasLimit: 10_000_000n }).catch(() => undefined)
    if (answer === undefined) return undefined
    return [...(f.escrow.interface.decodeFunctionResult('openBatch', answer)[0] as boolean[])]
  }

  it('evidence that is laid before the rows settles them as any other', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    const rows = [settleRow(order, OPG, { close: true })]
    const evidence = await settlementEvidence(f, f.node, rows)
    // After the selector: 6 words of terms, the offsets of rows and evidence, rows, evidence.
    const data = f.escrow.interface.encodeFunctionData('settle', [f.terms, rows, evidence])
    const words = dataSlice(data, 4)
    const headBytes = 8 * 32
    const evidenceAt = Number(BigInt(dataSlice(words, 7 * 32, headBytes)))
    const evidenceTail = dataSlice(words, evidenceAt)
    const moved = concat([
      dataSlice(data, 0, 4),
      dataSlice(words, 0, 6 * 32),
      toBeHex(headBytes + dataLength(evidenceTail), 32),
      toBeHex(headBytes, 32),
      evidenceTail,
      dataSlice(words, headBytes, evidenceAt),
    ])
    await expect(f.stranger.sendTransaction({ to: f.home.escrow, data: moved })).to.changeTokenBalances(
      f.token,
      [f.escrow, order.payer],
      [OPG - order.amount, order.amount - OPG],
    )
  })

  it('two places in a batch that name the same bytes: the order opens once (E5)', async () => {
    const { f, call } = await loadFixture(batchOfTwo)
    expect(await openWith(f, call.with(10, call.word(9)))).to.deep.equal([true, false])
    await expect(
      f.stranger.sendTransaction({ to: f.home.escrow, data: call.with(10, call.word(9)) }),
    ).to.changeTokenBalance(f.token, f.escrow, 10n * OPG)
  })

  it('order that lies anywhere else, before the start of calldata, or behind its end: only what is signed opens (E4, E8)', async () => {
    const { f, call } = await loadFixture(batchOfTwo)
    const start = 4n + 9n * 32n // offsets of orders count from here
    const whole = call.word(10)
    const places = [
      whole + 1n,
      whole - 1n,
      whole + 32n,
      whole + 500n,
      2n ** 64n,
      2n ** 255n - 1n,
      2n ** 255n,
      MaxUint256,
    ]
    // An order that begins before calldata does, so that its later members wrap around into it.
    for (let before = 1n; before <= 0x120n; before += before < 4n ? 1n : 12n) places.push(-start - before)
    for (const place of places) {
      const opened = await openWith(f, call.with(10, place))
      if (opened !== undefined) expect(opened, `order at ${String(place)}`).to.deep.equal([true, false])
    }
    // Far before the start all members are zero: a defect of that order alone.
    expect(await openWith(f, call.with(10, -start - 0x10000n))).to.deep.equal([true, false])
  })

  it('signature that lies anywhere else, or is longer than calldata: only its own order fails, or the call (E8)', async () => {
    const { f, call } = await loadFixture(batchOfTwo)
    const second = 9 + 2 + 12 // first word of the second order
    for (const place of [0n, 0x40n, -12n * 32n, -32n * 40n, -1n, 2n ** 64n, 2n ** 255n, MaxUint256]) {
      const opened = await openWith(f, call.with(second + 7, place))
      if (opened !== undefined) expect(opened, `signature at ${String(place)}`).to.deep.equal([true, false])
    }
    for (const length of [66n, 97n, 2n ** 32n, 2n ** 64n - 1n, 2n ** 64n, MaxUint256]) {
      const opened = await openWith(f, call.with(second + 8, length))
      if (opened !== undefined) expect(opened, `signature of ${String(length)} bytes`).to.deep.equal([true, false])
    }
  })

  it('numbers of orders and rows that calldata does not hold, up to those that overflow a size in bytes: refused', async () => {
    const { f, call } = await loadFixture(batchOfTwo)
    const { order } = await openOrder(f)
    const rows = [settleRow(order, OPG)]
    const evidence = await settlementEvidence(f, f.node, rows)
    const settle = new Call(f.escrow.interface.encodeFunctionData('settle', [f.terms, rows, evidence]))
    expect(settle.word(8)).to.equal(1n)
    const overflowing = (2n ** 256n + 0x140n) / 0x140n // of 0x140 bytes, as a row has
    for (const count of [
      40n,
      2n ** 32n,
      2n ** 64n - 1n,
      2n ** 64n,
      2n ** 251n,
      overflowing,
      overflowing + 1n,
      MaxUint256,
    ]) {
      expect(await openWith(f, call.with(8, count)), `${String(count)} orders`).to.equal(undefined)
      expect(await lives(f, settle.with(8, count)), `${String(count)} rows`).to.equal(false)
    }
    for (const offset of [2n ** 64n - 1n, 2n ** 64n, -32n, MaxUint256]) {
      expect(await lives(f, settle.with(6, offset)), `rows at ${String(offset)}`).to.equal(false)
      expect(await lives(f, settle.with(7, offset)), `evidence at ${String(offset)}`).to.equal(false)
    }
  })

  it('bits beyond the type of any member: no call takes them, whatever the verifier says (E4)', async () => {
    const { f, signed, call } = await loadFixture(batchOfTwo)
    const verifier = await deploy<HostileVerifier>('HostileVerifier') // accepts everything
    const terms = { ...f.terms, verifier: await verifier.getAddress() }
    const { order } = await openOrder(f, {}, { terms })
    const encode = f.escrow.interface
    const fresh = signed[0]
    if (fresh === undefined) throw new TypeError('The fixture signed no order')
    await f.token.connect(f.stranger).approve(f.home.escrow, MaxUint256)
    await f.token.mint(f.stranger, 100n * OPG)
    const termsBits = [
      [0, 160],
      [1, 160],
      [2, 16],
      [3, 160],
    ] as const
    const orderBits = [
      [0, 160],
      [2, 96],
      [3, 160],
      [5, 40],
    ] as const
    const rowBits = [...orderBits, [6, 96], [8, 64], [9, 1]] as const
    const behind = (start: number, bits: readonly (readonly [number, number])[]) =>
      bits.map(([word, bit]) => [start + word, bit] as const)
    const calls: readonly (readonly [string, Call, readonly (readonly [number, number])[]])[] = [
      ['open', new Call(encode.encodeFunctionData('open', [f.terms, fresh])), [...termsBits, ...behind(7, orderBits)]],
      ['openBatch', call, [...termsBits, ...behind(11, orderBits), ...behind(23, orderBits)]],
      [
        'openFunded',
        new Call(encode.encodeFunctionData('openFunded', [f.terms, fresh.order])),
        [...termsBits, ...behind(6, orderBits)],
      ],
      [
        'settle',
        new Call(encode.encodeFunctionData('settle', [terms, [settleRow(order, OPG)], '0x'])),
        [...termsBits, ...behind(9, rowBits)],
      ],
      [
        'orderId',
        new Call(encode.encodeFunctionData('orderId', [terms, order])),
        [...termsBits, ...behind(6, orderBits)],
      ],
    ]
    for (const [name, clean, members] of calls) {
      expect(await lives(f, clean.with(0, clean.word(0))), `${name} as it should be`).to.equal(true)
      for (const [word, bit] of members) {
        for (const dirty of [bit, 255]) {
          const data = clean.with(word, clean.word(word) | (1n << BigInt(dirty)))
          expect(await lives(f, data), `${name}, bit ${String(dirty)} of word ${String(word)}`).to.equal(false)
        }
      }
    }
  })

  it('bits beyond the type of any member, in calls of routed orders and of funders: no call takes them (E4)', async () => {
    const base = await loadFixture(routedFixture)
    const verifier = await deploy<HostileVerifier>('HostileVerifier') // accepts everything
    const funder = await deploy<HostileFunder>('HostileFunder', [base.home.token])
    await base.token.mint(funder, 100n * OPG)
    const f = { ...base, terms: { ...base.terms, facilitator: base.stranger.address } }
    const terms = { ...f.terms, verifier: await verifier.getAddress() }
    const world = { ...f, terms, facilitator: f.stranger }
    const { order } = await openRouted(world)
    const planned = await allocate(world, order, { cap: OPG, count: 2 })
    const more = plan(world, order, { cap: OPG, count: 2 }).allocation
    const row = await sliceRow(world, planned, { index: 0, fee: OPG, evidence: '0x' })
    const funded = { order: await makeOrder(f), data: '0x' }
    const encode = f.escrow.interface
    const termsBits = [
      [0, 160],
      [1, 160],
      [2, 16],
      [3, 160],
    ] as const
    const orderBits = [
      [0, 160],
      [2, 96],
      [3, 160],
      [5, 40],
    ] as const
    const allocationBits = [
      [1, 8],
      [2, 96],
      [3, 64],
    ] as const
    const rowBits = [
      [0, 8],
      [1, 160],
      [3, 96],
      [5, 64],
    ] as const
    const behind = (start: number, bits: readonly (readonly [number, number])[]) =>
      bits.map(([word, bit]) => [start + word, bit] as const)
    const routed = [...termsBits, ...behind(6, orderBits), ...behind(12, allocationBits)]
    const address = await funder.getAddress()
    // Words of settleSlices: 19 rows, 20 the first one's offset, so that it begins at word 21.
    const calls: readonly (readonly [string, Call, readonly (readonly [number, number])[]])[] = [
      ['allocate', new Call(encode.encodeFunctionData('allocate', [terms, order, more, '0x'])), routed],
      ['allocationId', new Call(encode.encodeFunctionData('allocationId', [terms, order, more])), routed],
      [
        'settleSlices',
        new Call(encode.encodeFunctionData('settleSlices', settleSlicesArgs(world, planned, [row]))),
        [...routed, ...behind(21, rowBits)],
      ],
      [
        'openVia',
        new Call(encode.encodeFunctionData('openVia', [address, f.terms, funded])),
        [[0, 160], ...behind(1, termsBits), ...behind(8, orderBits)],
      ],
      [
        'openBatchVia',
        new Call(encode.encodeFunctionData('openBatchVia', [address, f.terms, [funded], GAS_PER_ORDER])),
        [[0, 160], ...behind(1, termsBits), ...behind(11, orderBits)],
      ],
    ]
    for (const [name, clean, members] of calls) {
      expect(await lives(f, clean.with(0, clean.word(0))), `${name} as it should be`).to.equal(true)
      for (const [word, bit] of members) {
        for (const dirty of [bit, 255]) {
          const data = clean.with(word, clean.word(word) | (1n << BigInt(dirty)))
          expect(await lives(f, data), `${name}, bit ${String(dirty)} of word ${String(word)}`).to.equal(false)
        }
      }
    }
  })

  it('wallet with a signature of 24,000 bytes in a batch: it opens, and so do those behind it (E8)', async () => {
    const f = await loadFixture(deployFixture)
    const wallet = await deploy<ExactWallet>('ExactWallet', [f.home.token, PERMIT2_ADDRESS])
    await f.token.mint(wallet, 100n * OPG)
    const order = await makeOrder(f, { payer: await wallet.getAddress() })
    const signature = hexlify(randomBytes(24_000))
    await wallet.expectSignature(permitDigest(f.home, f.terms, order, order.claimBy), signature)
    const signed = [await honestOrder(f, 'a'), { order, deadline: order.claimBy, signature }, await honestOrder(f, 'b')]
    expect(await f.escrow.openBatch.staticCall(f.terms, signed, GAS_PER_ORDER)).to.deep.equal([true, true, true])
  })
})
