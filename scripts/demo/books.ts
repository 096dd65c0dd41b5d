import type { LogDescription } from 'ethers'
import { DemoError } from './report.js'
import type { World } from './world.js'

/** What the escrow's events say. Base units. */
export interface Books {
  /** Orders that were opened, those of x402 payments among them. */
  readonly opened: number
  readonly settlements: number
  readonly locked: bigint
  readonly node: bigint
  readonly shop: bigint
  readonly model: bigint
  readonly network: bigint
  readonly facilitator: bigint
  readonly refunded: bigint
  readonly reclaimed: bigint
  readonly open: bigint
  readonly gas: bigint
  readonly payers: readonly { readonly payer: string; readonly locked: bigint; readonly back: bigint }[]
}

/** Rebuilds all balances from events alone (E11), and checks them against what the token says. */
export async function readBooks(world: World): Promise<Books> {
  const { escrow, token } = world.devnet.contracts
  const logs = await escrow.queryFilter('*' as never, 0)
  const payerOf = new Map<string, string>()
  const payers = new Map<string, { locked: bigint; back: bigint }>()
  const total = {
    opened: 0,
    settlements: 0,
    locked: 0n,
    node: 0n,
    shop: 0n,
    model: 0n,
    network: 0n,
    facilitator: 0n,
    refunded: 0n,
    reclaimed: 0n,
  }
  const transactions = new Set<string>()
  const back = (orderId: string, amount: bigint): void => {
    const books = payers.get(payerOf.get(orderId) ?? '')
    if (books === undefined) throw new DemoError(`Order ${orderId} was never opened`)
    books.back += amount
  }
  for (const log of logs) {
    transactions.add(log.transactionHash)
    const { name: event, text, amount } = readEvent(escrow.interface.parseLog(log))
    switch (event) {
      case 'OrderOpened': {
        total.opened += 1
        const payer = text('payer')
        payerOf.set(text('orderId'), payer)
        const books = payers.get(payer) ?? { locked: 0n, back: 0n }
        payers.set(payer, books)
        books.locked += amount('amount')
        total.locked += amount('amount')
        break
      }
      case 'OrderSettled':
        total.settlements += 1
        total.refunded += amount('refund')
        back(text('orderId'), amount('refund'))
        break
      case 'OrderReclaimed':
        total.reclaimed += amount('refund')
        back(text('orderId'), amount('refund'))
        break
      case 'FeesCredited':
      case 'SharesCredited':
      case 'NetworkBpsSynced':
      case 'NetworkCollected':
        break // moves nothing out of the escrow; what is paid out has events of its own
      case 'Claimed':
        if (text('account') === world.node.address) total.node += amount('amount')
        else if (text('account') === world.shopkeeper.address) total.shop += amount('amount')
        else total.facilitator += amount('amount')
        break
      case 'RoyaltyClaimed':
        total.model += amount('amount')
        break
      case 'NetworkClaimed':
        total.network += amount('amount')
        break
      default:
        throw new DemoError(`Nothing in the demo should lead to the event ${event}`)
    }
  }
  const { locked, node, shop, model, network, facilitator, refunded, reclaimed } = total
  const open = locked - node - shop - model - network - facilitator - refunded - reclaimed
  const held = await token.balanceOf(world.escrow.escrow)
  if (held !== open) throw new DemoError(`By its events the escrow holds ${String(open)}, by the token ${String(held)}`)
  return {
    ...total,
    open,
    gas: await gasOf(world, transactions),
    payers: [...payers].map(([payer, books]) => ({ payer, ...books })),
  }
}

interface ReadEvent {
  readonly name: string
  readonly text: (member: string) => string
  readonly amount: (member: string) => bigint
}

function readEvent(event: LogDescription | null): ReadEvent {
  if (event === null) throw new DemoError('The escrow gave an event that its interface does not have')
  const members = event.args.toObject() as Readonly<Record<string, unknown>>
  return {
    name: event.name,
    text: (member) => String(members[member]),
    amount: (member) => BigInt(String(members[member])),
  }
}

async function gasOf({ devnet }: World, transactions: ReadonlySet<string>): Promise<bigint> {
  let gas = 0n
  for (const hash of transactions) gas += (await devnet.provider.getTransactionReceipt(hash))?.gasUsed ?? 0n
  return gas
}
