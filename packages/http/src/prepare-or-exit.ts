import { constants } from 'node:os'
import type { Logger } from './logger.ts'

const endingSignals = ['SIGTERM', 'SIGINT'] as const

/**
 * What a process needs before it may work. Where it fails, its message is one line in the log, and the exit code is 1: a process
 * that ran on would only fail later, and where nobody looks.
 *
 * A signal ends the process at once, also where it is a container's first and would otherwise not notice.
 */
export async function prepareOrExit(logger: Logger, prepare: () => Promise<void>): Promise<void> {
  const end = (signal: NodeJS.Signals) => process.exit(128 + constants.signals[signal])
  for (const signal of endingSignals) process.on(signal, end)
  try {
    await prepare()
  } catch (error) {
    logger.fatal(`cannot start: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  } finally {
    for (const signal of endingSignals) process.off(signal, end)
  }
}
