import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Figures of gas, batches that just fit into a block, and hashes of code, which hold for the code
 * that ships only: broken or marked code costs something else.
 */
const SHIPPED = /\b(gas|limits|shipped)\.test\.ts$/

/** The contract tests below `root` that are about what contracts do, not what it costs. */
export function testFiles(root: string): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && !SHIPPED.test(path))
    .map((path) => join('test', path))
    .sort()
}

/**
 * Test files that start a chain process of their own. It keeps to the limit of code's length, and its steps cannot be
 * seen from here.
 */
export const OWN_CHAIN: ReadonlySet<string> = new Set(['test/escrow/attacks.chain.test.ts'])
