import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger }

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** Who may act for an account, what may be charged, and what signs: none of it belongs into a log, at whatever depth an object has it. */
const secrets = ['authorization', 'paymentMethod', 'apiKey', 'secret', 'secrets', 'previousSecret']
const redacted = ['', '*.', '*.*.', '*.*.*.'].flatMap((depth) => secrets.map((name) => `${depth}${name}`))

/**
 * JSON lines on stdout, each with the instance that wrote it. Written synchronously, so that the last line before an exit
 * is not lost.
 */
export function createLogger(
  options: { level: (typeof logLevels)[number]; instance: string },
  destination?: DestinationStream,
): Logger {
  return pino(
    {
      level: options.level,
      base: { instance: options.instance },
      timestamp: () => `,"at":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: redacted, censor: '[redacted]' },
    },
    destination ?? pino.destination({ dest: 1, sync: true }),
  )
}
