import { describe, expect, it } from 'vitest'
import { ConfigError, findStrangers } from '../../src/index.js'

const KNOWN = ['APP_CONFIG', 'APP_PORT', 'APP_HOST', 'APP_MIN_AMOUNT']
const find = (environment: Readonly<Record<string, string>>) =>
  findStrangers(environment, { prefix: 'APP_', known: KNOWN })

describe('findStrangers', () => {
  it.each([
    ['APP_PROT', 'APP_PORT'],
    ['APP_PORTS', 'APP_PORT'],
    ['APP_MIN_AMOUN', 'APP_MIN_AMOUNT'],
    ['APP_MINAMOUNT', 'APP_MIN_AMOUNT'],
    ['APP_HOSTNAME', undefined],
  ])('refuses a misspelt name, and says the right one: %s', (variable, nearest) => {
    const look = () => find({ [variable]: '1' })
    if (nearest === undefined) expect(look()).toHaveLength(1)
    else
      expect(look).toThrow(new ConfigError(variable, `absent, as there is no such setting; the nearest is ${nearest}`))
  })

  it('gives back others with the prefix, such as an orchestrator sets', () => {
    expect(find({ APP_PORT_8402_TCP_ADDR: '10.0.0.1', APP_SERVICE_PORT: '8402' })).toEqual([
      { variable: 'APP_PORT_8402_TCP_ADDR', nearest: expect.stringMatching(/^APP_/) as string },
      { variable: 'APP_SERVICE_PORT', nearest: 'APP_PORT' },
    ])
  })

  it('leaves known names alone, those of others, and what is empty', () => {
    expect(find({ APP_PORT: '1', APP_CONFIG: 'x', PATH: '/bin', OTHER_PROT: '1', APP_PROT: '' })).toEqual([])
  })
})
