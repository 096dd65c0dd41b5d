import { fetchSettlements, requestClose, syncReceipts, type EscrowInfo } from '@opg/payer'
import { parseSignedReceipt, toWire, type Hex, type SignedReceipt } from '@opg/protocol'
import type { Devnet } from '@opg/devnet'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Buyer, Market, OpenedSession } from './market.js'

/** The payers ask for their rest, and the node settles all that it is owed. Resolves once every order is closed. */
export async function closeAll(market: Market, buyers: readonly Buyer[], nodeUrl: string): Promise<void> {
  const { escrow, devnet } = market
  for (const { payer, prepared } of buyers) {
    const { terms, order } = prepared
    const expiresAt = Math.floor(Date.now() / 1_000) + 3_600
    const answer = await requestClose(payer, { escrow, terms, order, nodeUrl, fetch, attempts: 20, expiresAt })
    expect(answer.status).toBe('closing')
  }
  for (const { prepared } of buyers) await untilClosed(devnet, prepared.orderId)
}

export async function untilClosed(devnet: Devnet, orderId: Hex): Promise<void> {
  while (!(await devnet.contracts.escrow.orders(orderId)).closed) await sleep(50)
}

/** All receipts of an order that a node has, as it tells anybody. */
export async function receiptsAt(url: string, orderId: Hex): Promise<readonly SignedReceipt[]> {
  const receipts: SignedReceipt[] = []
  for (;;) {
    const answer = await fetch(`${url}/v1/orders/${orderId}/receipts?from=${String(receipts.length)}`)
    const page = (await answer.json()) as { readonly receipts: readonly unknown[]; readonly next: string | null }
    receipts.push(...page.receipts.map((receipt) => parseSignedReceipt(receipt)))
    if (page.next === null) return receipts
  }
}

/** The node has every receipt that the payer holds, and settled them. @returns the order's fees */
export async function checkOrder(
  market: Market,
  options: { readonly buyer: Buyer; readonly opened: OpenedSession; readonly url: string },
): Promise<bigint> {
  const { prepared } = options.buyer
  const { book, http } = options.opened
  const stored = await receiptsAt(options.url, prepared.orderId)
  for (const held of book.receipts()) expect(toWire(stored[Number(held.receipt.seq)])).toEqual(toWire(held))
  // Those of answers that never arrived; the book looks for fraud in every one.
  expect((await syncReceipts(book, http)).frauds).toEqual([])
  expect(book.audit().frauds).toEqual([])
  expect(book.receipts()).toHaveLength(stored.length)

  const settlements = await checkSettled(market, { orderId: prepared.orderId, amount: prepared.order.amount, stored })
  for (const settlement of settlements) expect(book.checkSettlement(settlement)).toEqual({ status: 'consistent' })
  return stored.at(-1)?.receipt.cumulativeFee ?? 0n
}

/** Receipts are gapless, add up and bill nothing twice; they were settled once each, and the rest went back. */
export async function checkSettled(
  { devnet, escrow }: { readonly devnet: Devnet; readonly escrow: EscrowInfo },
  order: { readonly orderId: Hex; readonly amount: bigint; readonly stored: readonly SignedReceipt[] },
): ReturnType<typeof fetchSettlements> {
  const { orderId, amount, stored } = order
  let total = 0n
  stored.forEach(({ receipt }, index) => {
    total += receipt.fee
    expect(receipt).toMatchObject({ orderId, seq: BigInt(index), cumulativeFee: total })
  })
  expect(new Set(stored.map(({ receipt }) => receipt.requestId)).size).toBe(stored.length)
  expect(total).toBeLessThanOrEqual(amount)

  const settlements = await fetchSettlements(devnet.provider, { escrow, orderId, fromBlock: 0 })
  // Cumulative fees only grow; the close may repeat the last one, and then credits nothing.
  const fees = settlements.slice(0, -1).map(({ cumulativeFee }) => cumulativeFee)
  expect(fees).toEqual([...new Set(fees)].sort((a, b) => (a < b ? -1 : 1)))
  expect(settlements.slice(0, -1).every(({ refund }) => refund === 0n)).toBe(true)
  const receiptCount = BigInt(stored.length)
  expect(settlements.at(-1)).toMatchObject({ cumulativeFee: total, receiptCount, refund: amount - total })
  return settlements
}

/** All that closed orders held went to payees and back to payers, to the last unit (E1, E7). */
export async function checkEscrow(
  market: Market,
  { buyers, fees }: { readonly buyers: readonly Buyer[]; readonly fees: bigint },
): Promise<void> {
  const { node, facilitator, devnet } = market
  const { escrow, token } = devnet.contracts
  const feesCredited = await escrow.queryFilter(escrow.filters.FeesCredited())
  const sharesCredited = await escrow.queryFilter(escrow.filters.SharesCredited())
  const credited =
    feesCredited.reduce((sum, { args }) => sum + args.nodeFee + args.networkFee, 0n) +
    sharesCredited.reduce((sum, { args }) => sum + args.facilitatorFee + args.royalty, 0n)
  expect(credited).toBe(fees)
  const claims = await escrow.queryFilter(escrow.filters.Claimed())
  const claimed = claims.reduce((sum, { args }) => sum + args.amount, 0n)
  const credits = (await escrow.credits(node.address)) + (await escrow.credits(facilitator.address))
  // The network's share waits with the node, and is collected with the node's claim.
  const network = (await escrow.networkCredit()) + (await escrow.networkCreditWith(node.address))
  expect(credits + network + claimed).toBe(fees)
  expect(await token.balanceOf(market.escrow.escrow)).toBe(fees - claimed)

  const locked = buyers.reduce((sum, { prepared }) => sum + prepared.order.amount, 0n)
  let back = 0n
  for (const address of new Set(buyers.map(({ payer }) => payer.address))) back += await token.balanceOf(address)
  expect(back).toBe(locked - fees)
}
