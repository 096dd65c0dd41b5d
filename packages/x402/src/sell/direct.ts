import { InferenceEscrow__factory } from '@opg/bindings'
import type { EscrowReader } from '@opg/node'
import { waitForReceipt } from '@opg/payer'
import { parseUptoPayment, uptoOrder, type CaptureStep } from '@opg/protocol'
import type { Signer } from 'ethers'
import type { InTurn } from './inTurn.js'
import type { Offered } from './offered.js'
import type { OutboxEntry } from './outboxStore.js'

/** A way to the chain for captures that a facilitator does not bring there. */
export interface DirectSettling {
  /** How long before `claimBy` a capture is brought there, in milliseconds. */
  readonly dueMs: number
  /** Whether the order is closed on the chain; settles it by a transaction where it is open and `isDue`. */
  settle(entry: Capture, isDue: boolean): Promise<boolean>
}

export type Capture = OutboxEntry & { readonly step: CaptureStep }

/** Settles with the evidence that was made for the facilitator: one transaction an order, one after another. */
export function directSettling(
  { escrow, offer }: Offered,
  options: {
    readonly signer: Signer
    readonly reader: Pick<EscrowReader, 'snapshot'>
    readonly dueMs: number
    readonly inTurn: InTurn
  },
): DirectSettling {
  const { signer, reader, dueMs, inTurn } = options
  const contract = InferenceEscrow__factory.connect(escrow, signer)

  const isClosed = async ({ orderId }: Capture): Promise<boolean> => {
    const { state } = await reader.snapshot({ orderId })
    return state === 'closed'
  }
  const send = async (entry: Capture): Promise<boolean> => {
    // Others that waited for their turn may have taken long enough for the facilitator to come first.
    if (await isClosed(entry)) return true
    const { settlement, evidence } = entry.step
    const { orderId: _, ...row } = settlement
    const order = uptoOrder(offer, parseUptoPayment(entry.payment.payload).authorization)
    const rows = [{ order, ...row }]
    const estimate = await contract.settle.estimateGas(offer.terms, rows, evidence)
    const sent = await contract.settle(offer.terms, rows, evidence, { gasLimit: estimate + estimate / 4n })
    await waitForReceipt(sent)
    return await isClosed(entry)
  }

  return {
    dueMs,
    settle: (entry, isDue) => (isDue ? inTurn(() => send(entry)) : isClosed(entry)),
  }
}
