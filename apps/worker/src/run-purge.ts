import type { Logger } from '@seatbelt/http'
import { type Purgeable, purgeables, purgeBatchSize } from '@seatbelt/payments'
import { Counter, type Registry } from 'prom-client'
import { rest, runLanes } from './run-lanes.ts'

export interface PurgeOptions {
  /** Deletes one batch, and says how many rows that were. */
  readonly purge: (what: Purgeable) => Promise<number>
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly registry: Registry
}

/** What is kept for a day may as well be kept for some minutes more. */
const idlePauseMs = 600_000
/** Between batches, so that vacuum, replicas and requests keep up. */
const batchPauseMs = 250
/** Of one kind in a row, so that a pile of one does not keep the others waiting for more than half a minute. */
const maxBatches = 100

/** Deletes what is old enough, in small batches, until the signal fires. Any number of copies may run. */
export async function runPurge({ purge, signal, logger, registry }: PurgeOptions): Promise<void> {
  const purged = new Counter({
    name: 'purged_rows_total',
    help: 'Rows that were deleted because of their age.',
    labelNames: ['what'],
    registers: [registry],
  })
  /** True: there is more. */
  const purgeSome = async (what: Purgeable) => {
    for (let batches = 0; batches < maxBatches && !signal.aborted; batches++) {
      const rows = await purge(what)
      purged.inc({ what }, rows)
      if (rows < purgeBatchSize) return false
      await rest(batchPauseMs, signal)
    }
    return true
  }
  const step = async () => {
    let isMore = false
    for (const what of purgeables) isMore = (await purgeSome(what)) || isMore
    return isMore
  }
  const onFault = (err: unknown) => logger.error({ err }, 'purging failed; what is left is deleted next time')
  await runLanes({ step, lanes: 1, idlePauseMs, signal, onFault })
}
