/** A clock that stands until it is turned. */
export interface TestClock {
  (): number
  advance(ms: number): void
}

export function createTestClock(startMs = 1_700_000_000_000): TestClock {
  let now = startMs
  return Object.assign(() => now, {
    advance: (ms: number) => {
      now += ms
    },
  })
}
