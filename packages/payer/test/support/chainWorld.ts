import { type Devnet, startDevnet } from '@opg/devnet'
import { Wallet, id, toQuantity } from 'ethers'
import { type Terms, ZERO_ADDRESS, ZERO_BYTES32 } from '@opg/protocol'
import {
  type EscrowInfo,
  type PreparedOrder,
  approvePermit2,
  createWorkOrder,
  openOrder,
  readEscrow,
  signWorkOrder,
} from '../../src/index.js'
import { addressOf } from './world.js'

export const AMOUNT = 1_000n
export const WINDOW = 3_600

/** A local chain with an escrow, and payers without a history. */
export class ChainWorld {
  #payers = 0

  private constructor(
    readonly devnet: Devnet,
    readonly escrow: EscrowInfo,
  ) {}

  static async start(): Promise<ChainWorld> {
    const devnet = await startDevnet()
    return new ChainWorld(devnet, await readEscrow(devnet.provider, devnet.deployment.escrow))
  }

  stop(): Promise<void> {
    return this.devnet.stop()
  }

  walletAt(i: number): Wallet {
    const wallet = this.devnet.wallets[i]
    if (wallet === undefined) throw new TypeError(`no wallet ${i.toString()}`)
    return wallet
  }

  /** A payer with tokens; without `gas`, it can sign and no more. */
  async newPayer({ gas = true }: { readonly gas?: boolean } = {}): Promise<Wallet> {
    const payer = new Wallet(id(`payer ${(this.#payers++).toString()}`), this.devnet.provider)
    if (gas) await this.devnet.provider.send('anvil_setBalance', [payer.address, toQuantity(10n ** 18n)])
    await this.devnet.mint(payer.address, 100n * AMOUNT)
    return payer
  }

  /** Terms of a routed order; with `node`, of a direct one. */
  termsOf(change: Partial<Terms>): Terms {
    return {
      node: ZERO_ADDRESS,
      facilitator: ZERO_ADDRESS,
      facilitatorBps: 0,
      verifier: this.devnet.deployment.keyReceiptVerifier,
      evidenceKey: ZERO_BYTES32,
      modelId: ZERO_BYTES32,
      ...change,
    }
  }

  async prepareOrder(
    payer: Wallet,
    { terms, ...change }: { readonly terms: Terms; readonly nonce?: bigint; readonly amount?: bigint },
  ): Promise<PreparedOrder> {
    const now = await this.devnet.now()
    const times = { claimBy: now + WINDOW, now }
    const { escrow } = this
    return createWorkOrder({ escrow, terms, payer: addressOf(payer), amount: AMOUNT, nonce: 0n, ...times, ...change })
  }

  async openOrder(
    payer: Wallet,
    input: { readonly terms: Terms; readonly nonce?: bigint; readonly amount?: bigint },
  ): Promise<PreparedOrder> {
    await approvePermit2(payer, { token: this.escrow.token })
    const prepared = await this.prepareOrder(payer, input)
    const signed = await signWorkOrder(payer, prepared)
    const opened = await openOrder(this.walletAt(2), { escrow: this.escrow, terms: input.terms, signed })
    if (opened.status !== 'opened') throw new TypeError(`not opened: ${opened.status}`)
    return prepared
  }
}
