import type { Logger } from '@seatbelt/http'
import type { Reconciled, StandingDifferences } from '@seatbelt/payments'
import { Gauge, type Registry } from 'prom-client'
import { runLanes } from './run-lanes.ts'

export interface ReconciliationOptions {
  /** A run that only reports; it stops where it is when the signal fires, and is gone on with by whoever is next. */
  readonly compare: (signal: AbortSignal) => Promise<Reconciled>
  /** What the last whole run left. */
  readonly readStanding: () => Promise<StandingDifferences>
  readonly everyMs: number
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly registry: Registry
}

/** How often it is looked whether a run is due, and the figures are read anew: a person may have run one by hand. */
const lookEveryMs = 60_000

/**
 * Compares when the last comparison is old enough, and shows what it left standing. It never acts.
 *
 * Any number of copies may run: one run at a time is taken by one, and whoever comes after it finds it fresh.
 */
export async function runReconciliation(options: ReconciliationOptions): Promise<void> {
  const { compare, readStanding, everyMs, signal, logger, registry } = options
  const show = createShow(registry)
  const step = async () => {
    const standing = await readStanding()
    show(standing)
    if (standing.finishedAt !== null && Date.now() - standing.finishedAt.getTime() < everyMs) return false
    const result = await compare(signal)
    if (result.kind === 'interrupted') logger.warn({ reason: result.reason }, 'reconciliation broke off')
    if (result.kind === 'finished') report(logger, await readStanding(), show)
    return false
  }
  const onFault = (err: unknown) => logger.error({ err }, 'reconciliation failed; it is gone on with later')
  await runLanes({ step, lanes: 1, idlePauseMs: lookEveryMs, signal, onFault })
}

function report(logger: Logger, standing: StandingDifferences, show: (standing: StandingDifferences) => void): void {
  show(standing)
  const { byKind } = standing
  if (Object.keys(byKind).length === 0)
    logger.info('no differences between the gateway and our books in what was old enough to be judged')
  else logger.error({ byKind }, 'the gateway and our books differ: npm run reconcile shows what to do')
}

function createShow(registry: Registry): (standing: StandingDifferences) => void {
  const differences = new Gauge({
    name: 'reconciliation_differences',
    help: 'Differences between the gateway and our books that the last whole comparison left standing, by their kind.',
    labelNames: ['kind'],
    registers: [registry],
  })
  const finished = new Gauge({
    name: 'reconciliation_finished_timestamp_seconds',
    help: 'When the last whole comparison ended; 0: never.',
    registers: [registry],
  })
  return ({ finishedAt, byKind }) => {
    finished.set((finishedAt?.getTime() ?? 0) / 1000)
    // A kind that stands no more must not be shown for ever.
    differences.reset()
    for (const [kind, count] of Object.entries(byKind)) differences.set({ kind }, count)
  }
}
