import type { PreparedCall, ReceiptBook, RequestSigner } from '@opg/payer'
import type { SignedOrder, WorkOrderPayment } from '@opg/protocol'

/** An order, and the requests that it pays for. */
export interface Tab {
  readonly host: string
  readonly book: ReceiptBook
  readonly requests: RequestSigner
  readonly signed: SignedOrder
  /** Set once an answer has shown that the seller has the order. */
  isOpen: boolean
  /** Calls that wait for their answer. */
  running: number
}

/** The orders of one seller under one kind of terms. */
export interface Slot {
  readonly host: string
  /** Those that take more requests. */
  tabs: Tab[]
  opening: Promise<void> | undefined
  /** Set: the spender's limits leave no further order, unless calls that run give back what they reserved. */
  isLimited: boolean
}

/** Takes an order out of those that take more requests. */
export function drop(slot: Slot, tab: Tab): void {
  slot.tabs = slot.tabs.filter((other) => other !== tab)
}

/** Whether calls run that may give back what they reserved. */
export function isBusy({ tabs }: Slot): boolean {
  return tabs.some(({ running }) => running > 0)
}

/** What pays for a call; with the payer's signature until the seller has shown that it has the order. */
export function payloadOf({ book, signed, isOpen }: Tab, call: PreparedCall): WorkOrderPayment {
  const { terms, order } = book
  const permit = { deadline: signed.deadline, signature: signed.signature }
  return {
    terms,
    order,
    ...(isOpen ? {} : { permit }),
    request: call.signed.request,
    signature: call.signed.signature,
    ...(call.voucher === undefined ? {} : { voucher: call.voucher }),
  }
}
