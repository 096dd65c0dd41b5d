import { InferenceEscrow__factory, permit2Abi } from '@opg/bindings'
import { Interface, type Signer, type TransactionReceipt } from 'ethers'
import type { Hex } from '@opg/protocol'
import { asHex, hashOf, transact } from './chain.js'
import type { EscrowInfo } from './escrowInfo.js'

const escrowInterface = InferenceEscrow__factory.createInterface()
const INTERFACES = [escrowInterface, new Interface(permit2Abi)]

export type Opening =
  | { readonly status: 'opened'; readonly orderId: Hex; readonly txHash: Hex; readonly gasUsed: bigint }
  /** It is open, or was: nothing moved. */
  | { readonly status: 'already-open'; readonly orderId: Hex }
  | { readonly status: 'refused'; readonly orderId: Hex; readonly reason: string; readonly detail: string }

/** Sends a call of the escrow that opens one order. Simulated first, so an order that cannot open costs nothing. */
export async function sendOpening(
  signer: Signer,
  options: {
    readonly escrow: EscrowInfo
    readonly orderId: Hex
    readonly data: string
    /** Whether the order would open, by what the simulation returned. */
    readonly wouldOpen: (returned: string) => boolean
  },
): Promise<Opening> {
  const { escrow, orderId, data, wouldOpen } = options
  const result = await transact(signer, {
    call: { to: escrow.escrow, data },
    interfaces: INTERFACES,
    action: 'open an order',
    isWorthwhile: wouldOpen,
  })
  if (result.status === 'reverted') return { status: 'refused', orderId, ...result.revert }
  if (result.status === 'not-sent' || !openedIds(result.receipt, escrow).has(orderId)) {
    return { status: 'already-open', orderId }
  }
  return { status: 'opened', orderId, txHash: hashOf(result.receipt), gasUsed: result.receipt.gasUsed }
}

/** Ids of the orders that a transaction opened. */
export function openedIds(receipt: TransactionReceipt, escrow: EscrowInfo): ReadonlySet<Hex> {
  return new Set(
    receipt.logs
      .filter((log) => log.address.toLowerCase() === escrow.escrow.toLowerCase())
      .flatMap((log) => {
        const parsed = escrowInterface.parseLog(log)
        return parsed?.name === 'OrderOpened' ? [asHex(String(parsed.args.orderId))] : []
      }),
  )
}
