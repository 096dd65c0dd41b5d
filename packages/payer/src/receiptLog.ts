import { open, readFile, truncate } from 'node:fs/promises'

/** Append-only lines that outlive the process. */
export interface ReceiptLog {
  /** All whole lines, oldest first. */
  lines(): Promise<readonly string[]>
  /** Resolves once the line, which holds no line break, is durable. Calls come one after another. */
  append(line: string): Promise<void>
}

/** A log that a process keeps for itself, for tests and short errands. */
export function memoryReceiptLog(): ReceiptLog {
  const kept: string[] = []
  return {
    lines: () => Promise.resolve([...kept]),
    append: (line) => {
      kept.push(line)
      return Promise.resolve()
    },
  }
}

/** A log in a file of JSON lines. One process at a time. A line that a crash cut off is removed by `lines`. */
export function fileReceiptLog(path: string): ReceiptLog {
  return {
    lines: async () => {
      const content = await readOrEmpty(path)
      const end = content.lastIndexOf(0x0a) + 1
      if (end < content.length) await truncate(path, end)
      return content.subarray(0, end).toString('utf8').split('\n').slice(0, -1)
    },
    append: async (line) => {
      const file = await open(path, 'a', 0o600)
      try {
        await file.appendFile(`${line}\n`)
        await file.datasync()
      } finally {
        await file.close()
      }
    },
  }
}

async function readOrEmpty(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
}
