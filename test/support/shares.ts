/** How the fees of one call to `settle` divide, written a second time. Base units. */
export interface Shares {
  readonly node: bigint
  readonly facilitator: bigint
  readonly royalty: bigint
  readonly network: bigint
}

/** One order in the call: fees from `before` to `cumulativeFee`, under the shares it was opened with. */
export interface Step {
  readonly before: bigint
  readonly cumulativeFee: bigint
  readonly networkBps: bigint
  readonly royaltyBps: bigint
}

export const NO_SHARES: Shares = { node: 0n, facilitator: 0n, royalty: 0n, network: 0n }

const BPS = 10_000n

export function sum(shares: Shares): bigint {
  return shares.node + shares.facilitator + shares.royalty + shares.network
}

export function addShares(a: Shares, b: Shares): Shares {
  return {
    node: a.node + b.node,
    facilitator: a.facilitator + b.facilitator,
    royalty: a.royalty + b.royalty,
    network: a.network + b.network,
  }
}

/** The part of `cumulativeFee` that is not the node's. */
export function poolOf(cumulativeFee: bigint, poolBps: bigint): bigint {
  return (cumulativeFee * poolBps) / BPS
}

/** A call's shares: pools of orders opened under the same shares are divided together, in runs. */
export function sharesOfCall(steps: readonly Step[], facilitatorBps: bigint): Shares {
  let total = NO_SHARES
  let run: { networkBps: bigint; royaltyBps: bigint; pool: bigint } = { networkBps: 0n, royaltyBps: 0n, pool: 0n }
  const endRun = () => {
    total = addShares(total, divide(run, facilitatorBps))
  }
  for (const { before, cumulativeFee, networkBps, royaltyBps } of steps) {
    if (networkBps !== run.networkBps || royaltyBps !== run.royaltyBps) {
      endRun()
      run = { networkBps, royaltyBps, pool: 0n }
    }
    const poolBps = networkBps + royaltyBps + facilitatorBps
    const pool = poolOf(cumulativeFee, poolBps) - poolOf(before, poolBps)
    run.pool += pool
    total = { ...total, node: total.node + cumulativeFee - before - pool }
  }
  endRun()
  return total
}

function divide(
  run: { readonly networkBps: bigint; readonly royaltyBps: bigint; readonly pool: bigint },
  facilitatorBps: bigint,
): Shares {
  if (run.pool === 0n) return NO_SHARES
  const network = (run.pool * run.networkBps) / (run.networkBps + run.royaltyBps + facilitatorBps)
  const others = run.royaltyBps + facilitatorBps
  const royalty = others === 0n ? 0n : ((run.pool - network) * run.royaltyBps) / others
  return { node: 0n, network, royalty, facilitator: run.pool - network - royalty }
}

/** How the fees of slices divide that one call settles, of an order opened under these shares. */
export function sharesOfSlices(
  fees: readonly bigint[],
  rates: { readonly networkBps: bigint; readonly royaltyBps: bigint },
  facilitatorBps: bigint,
): Shares & { readonly nodes: readonly bigint[] } {
  const poolBps = rates.networkBps + rates.royaltyBps + facilitatorBps
  const nodes = fees.map((fee) => fee - poolOf(fee, poolBps))
  const pool = fees.reduce((total, fee) => total + poolOf(fee, poolBps), 0n)
  return { ...divide({ ...rates, pool }, facilitatorBps), nodes }
}
