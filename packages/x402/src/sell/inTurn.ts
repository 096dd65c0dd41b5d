/** Runs one piece of work after another. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>

/** For what an account sends: two transactions at once would take one nonce. */
export function inTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve()
  return async (work) => {
    const turn = last.then(work)
    last = turn.catch(() => undefined)
    return await turn
  }
}
