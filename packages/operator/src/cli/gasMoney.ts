import type { Logger } from '../edge.js'

/** The `gas money` line of a status. `balance` is in wei; undefined while the chain does not answer. */
export function gasMoneyLine(balance: bigint | undefined): string {
  return `Gas money: ${balance === undefined ? 'unknown, as the chain does not answer' : `${balance.toString()} wei`}`
}

/** Says in one line where an account has less of the native coin than it needs. A balance that is not known is none of it. */
export function warnOfGasMoney(
  {
    account,
    balance,
    needed,
  }: { readonly account: string; readonly balance: bigint | undefined; readonly needed: bigint },
  logger: Logger,
): void {
  if (balance === undefined || balance >= needed) return
  logger.warn(
    { account, balanceWei: balance.toString(), neededWei: needed.toString() },
    'too little gas money: send native coin to this account',
  )
}
