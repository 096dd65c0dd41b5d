import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { SETTINGS } from '../src/config/settings.js'
import { createMetrics } from '../src/http/metrics.js'
import { REASONS } from '../src/verify/reasons.js'

describe('docs/FACILITATOR.md', () => {
  let text: string

  beforeAll(async () => {
    text = await readFile(new URL('../../../docs/FACILITATOR.md', import.meta.url), 'utf8')
  })

  it.each([...REASONS])('says what to do about %s', (reason) => {
    const row = text.split('\n').find((line) => line.startsWith('|') && line.split('|')[1]?.includes(`\`${reason}\``))
    expect(row?.split('|')[2]?.trim()).toBeTruthy()
  })

  it.each(Object.entries(SETTINGS))('lists the setting %s', (name, { variable }) => {
    const rows = text.split('\n').filter((line) => line.startsWith('|'))
    expect(rows.some((row) => row.includes(`\`${name}\``) && row.includes(`\`${variable}\``))).toBe(true)
  })

  it('lists each metric', async () => {
    const health = { isHealthy: true, problems: [], blockNumber: 1, engine: undefined }
    const names = [...(await createMetrics().text(health)).matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name)
    expect(names.length).toBeGreaterThan(8)
    for (const name of names) {
      const short = `…${name.replace('opg_facilitator', '')}`
      expect(
        [name, short].some((form) => text.includes(form)),
        name,
      ).toBe(true)
    }
  })
})
