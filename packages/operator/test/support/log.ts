import type { LogFields, Logger } from '../../src/index.js'

export interface Line {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: LogFields
}

/** A logger that keeps what it is told. */
export function keepingLogger(): Logger & { readonly lines: Line[] } {
  const lines: Line[] = []
  const at =
    (level: Line['level']) =>
    (fields: LogFields, message: string): void => {
      lines.push({ level, message, fields })
    }
  return { lines, info: at('info'), warn: at('warn'), error: at('error') }
}
