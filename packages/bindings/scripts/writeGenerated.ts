import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Writes a file whole or not at all, and leaves it alone if it has this content: builds may run side by side. */
export function writeGenerated(path: string, content: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === content) return
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.${String(process.pid)}`
  writeFileSync(temporary, content)
  renameSync(temporary, path)
}
