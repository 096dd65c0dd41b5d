import { describe, expect, it } from 'vitest'
import { createSponsoring } from './sponsoring.js'

describe('createSponsoring', () => {
  it('offers approvals while the facilitator says that it sends them, and what it said last where it says nothing', async () => {
    const stop = new AbortController()
    const said = [undefined, [], ['other', 'eip2612GasSponsoring'], undefined, ['other'], undefined]
    const offered: boolean[] = []
    let asked = 0
    const sponsoring = createSponsoring({ extensions: () => Promise.resolve(said[asked++]) }, () => {
      offered.push(sponsoring.extensions !== undefined)
      if (asked === said.length) stop.abort()
      return Promise.resolve()
    })
    expect(sponsoring.extensions).toBeUndefined()
    await sponsoring.run({ signal: stop.signal, intervalMs: 1 })
    expect(offered).toEqual([false, false, true, true, false, false])
  })
})
