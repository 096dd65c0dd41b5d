import { pino } from 'pino'
import type { LogFields, Logger } from './edge.js'

/** What a log says, and how. */
export interface LogSettings {
  readonly logLevel: 'info' | 'warn' | 'error' | 'silent'
  readonly logFormat: 'json' | 'pretty'
}

/** A logger to stderr: a JSON object a line, or lines for people. */
export function createLogger({ logLevel, logFormat }: LogSettings, stderr: (text: string) => void): Logger {
  const write =
    logFormat === 'json'
      ? stderr
      : (line: string) => {
          stderr(pretty(line))
        }
  const log = pino(
    {
      level: logLevel,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    { write },
  )
  return {
    info: (fields, message) => {
      log.info(fields, message)
    },
    warn: (fields, message) => {
      log.warn(fields, message)
    },
    error: (fields, message) => {
      log.error(fields, message)
    },
  }
}

function pretty(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as LogFields
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${String(value)}`)
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${String(msg)}${rest.join('')}\n`
}
