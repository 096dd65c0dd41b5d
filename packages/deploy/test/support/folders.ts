import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Where one test keeps manifests and journals; gone when it ends. */
export function folders(): { readonly manifestFolder: string; readonly journalFolder: string } {
  const root = mkdtempSync(join(tmpdir(), 'deploy-'))
  onTestFinished(() => {
    rmSync(root, { recursive: true, force: true })
  })
  return { manifestFolder: join(root, 'manifests'), journalFolder: join(root, 'journals') }
}
