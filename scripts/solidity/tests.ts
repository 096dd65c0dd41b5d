import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** The contract tests below `root`. */
export function testFiles(root: string): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => join('test', path))
    .sort()
}

/**
 * Test files that start a chain process of their own. It keeps to the limit of code's length, and its steps cannot be
 * seen from here.
 */
export const OWN_CHAIN: ReadonlySet<string> = new Set(['test/escrow/attacks.chain.test.ts'])
