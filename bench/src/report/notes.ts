import { median } from '../measure/median.ts'
import { gatewayLatencyMs } from '../systems/services.ts'
import type { Series } from './bench-report.ts'

/** Cores. Above this the load client might slow down what it measures. */
const busyClient = 0.8

/** Cores. Above this the figures depend on what else the machine did; below it are the idle systems and the harness. */
const noisyMachine = 0.2

/** Facts that a reader must know before he compares figures of this run with others. */
export function notesOf(
  series: readonly Series[],
  rounds: { readonly done: number; readonly planned: number },
): string[] {
  return [
    ...(rounds.done < rounds.planned ? [`Only ${rounds.done} of ${rounds.planned} rounds were completed.`] : []),
    `All systems use the same PostgreSQL (fsync on), Redis and gateway simulator, which takes ${gatewayLatencyMs} ms a request on average. Everything runs on one machine and shares its cores, also with the load client.`,
    'Each system is one process, except for Seatbelt × 3. The systems take turns; one that has no turn is idle.',
    'The rate limits of Seatbelt are raised so far that they never apply, because the load comes from one account.',
    "The simulator's webhooks are off, except for the row with webhooks on. No worker runs: messages stay in the outbox, as they do at the floor.",
    'Every answer was checked: status 201, and Idempotent-Replayed on replays. A slice with a wrong answer has no figures and makes the run invalid.',
    'Figures are medians of the runs; p99 is over the requests of all runs. CPU time comes from /proc, in steps of 10 ms, and is divided by the answers within the window.',
    ...clientNotes(series),
  ]
}

function clientNotes(series: readonly Series[]): string[] {
  const runs = series.flatMap((one) => one.runs)
  const clients = runs.flatMap(({ clientCores }) => clientCores ?? [])
  const others = runs.flatMap(({ otherCores }) => otherCores ?? [])
  if (clients.length === 0 || others.length === 0) return ['CPU times are missing: this system has no /proc.']
  const busiest = Math.max(...clients)
  const noise = median(others) ?? 0
  return [
    `The load client used at most ${busiest.toFixed(2)} of a core in any run.${busiest < busyClient ? '' : ' It may have been the bottleneck there.'}`,
    `Other programs used ${noise.toFixed(2)} cores in the median run.${noise < noisyMachine ? '' : ' The machine was busy with something else: compare ratios, not figures.'}`,
  ]
}
