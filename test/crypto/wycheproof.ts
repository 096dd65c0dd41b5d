import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface PssVector {
  readonly tcId: number
  readonly comment: string
  readonly msg: string
  readonly sig: string
  readonly result: 'valid' | 'invalid' | 'acceptable'
}

export interface PssGroup {
  readonly file: string
  readonly keySize: number
  readonly sha: string
  readonly mgf: string
  readonly mgfSha: string
  readonly sLen: number
  readonly publicKeyDer: string
  readonly tests: readonly PssVector[]
}

const DIRECTORY = join(__dirname, '..', 'vectors', 'wycheproof')

/** Every group of every RSA-PSS file of Wycheproof. */
export function pssGroups(): readonly PssGroup[] {
  return readdirSync(DIRECTORY)
    .sort()
    .flatMap((file) => {
      const { testGroups } = JSON.parse(readFileSync(join(DIRECTORY, file), 'utf8')) as {
        testGroups: Omit<PssGroup, 'file'>[]
      }
      return testGroups.map((group) => ({ ...group, file }))
    })
}

/** Whether a group has the one set of parameters that the contracts take. */
export function isSupported(group: PssGroup): boolean {
  return group.sha === 'SHA-256' && group.mgf === 'MGF1' && group.mgfSha === 'SHA-256' && group.sLen === 32
}
