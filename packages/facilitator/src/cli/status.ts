import { EXIT, countOf, gasMoneyLine, print, type ExitCode } from '@opg/operator'
import { toWire } from '@opg/protocol'
import { networkOf } from '../verify/deployed.js'
import { configure, type CommandContext } from './context.js'
import { wireFacilitator } from './wire.js'

/** `opg-facilitator status`: what is under way, and the gas money. Works while `serve` runs. */
export async function statusCommand(context: CommandContext): Promise<ExitCode> {
  const open = await configure(context)
  const wired = await wireFacilitator(open)
  try {
    const { deployed, policy } = wired.service
    const status = await wired.engine.status()
    const balance = status.balance ?? null
    const whole = {
      facilitator: policy.facilitator,
      escrow: deployed.escrow,
      network: networkOf(deployed),
      ...status,
      balance,
    }
    print(open, {
      wire: toWire(whole),
      lines: [
        `Facilitator ${whole.facilitator}, escrow ${whole.escrow}, network ${whole.network}`,
        `Waiting: ${countOf(status.queuedOpenings, 'opening')}, ${countOf(status.queuedCaptures, 'capture')}; refused by the chain: ${countOf(status.failedCaptures, 'capture')}`,
        `Open: ${countOf(status.openOrders, 'order')}; pending: ${countOf(status.pendingTransactions, 'transaction')}, the oldest for ${status.oldestPendingSeconds.toFixed(0)} s`,
        gasMoneyLine(status.balance),
      ],
    })
    return balance === null ? EXIT.unavailable : EXIT.ok
  } finally {
    await wired.close()
  }
}
