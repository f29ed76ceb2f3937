import { createRatio, type Ratio } from '@seatbelt/lab/bench-locks/locks-report.ts'
import { rounded } from '@seatbelt/lab/bench-locks/statistics.ts'
import { median } from '../measure/median.ts'
import type { OperationName } from '../plan.ts'
import { type SystemName, systems } from '../systems/systems.ts'
import type { FilesPerPayment, RoundTrips, Series, SeriesRun, Subject } from './bench-report.ts'
import { operationTitles } from './titles.ts'

/** The input of the ratios. */
export interface Measured {
  readonly series: readonly Series[]
  readonly roundTrips: readonly RoundTrips[]
  readonly filesPerPayment: FilesPerPayment | null
}

export interface Goal {
  readonly name: string
  readonly what: string
  readonly goal: number
  readonly goalIs: 'at least' | 'at most'
  /** Without one of these systems there is nothing to judge. */
  readonly needs: readonly SystemName[]
  /** What is profiled when the goal is missed. */
  readonly operation: Exclude<OperationName, 'create-intent' | 'confirm-intent'>
  readonly valueFrom: (measured: Measured) => number | null
}

/** The concurrency at which systems are compared: both cores are busy then. */
const judgedInFlight = 64

const serverTitles = { postgres: 'PostgreSQL', redis: 'Redis' } as const

/** The figures that Seatbelt has to reach, each as a ratio within one run or as a count. */
export const goals: readonly Goal[] = [
  throughputTo('floor', 0.6),
  {
    name: 'cpu-to-floor',
    what: `CPU time of the API process per first payment, divided by that of Floor (${judgedInFlight} in flight)`,
    goal: 1.8,
    goalIs: 'at most',
    needs: ['seatbelt', 'floor'],
    operation: 'payment',
    valueFrom: ({ series }) => medianRatio(series, 'floor', 'payment', (run) => run.cpuMsPerRequest.api),
  },
  {
    name: 'replay-throughput-to-floor',
    what: `replays a second, divided by those of Floor (${judgedInFlight} in flight)`,
    goal: 0.6,
    goalIs: 'at least',
    needs: ['seatbelt', 'floor'],
    operation: 'replay',
    valueFrom: ({ series }) => medianRatio(series, 'floor', 'replay', (run) => run.throughputPerSecond),
  },
  throughputTo('control', 0.6),
  throughputTo('tutorial', 0.44),
  throughputTo('dbos', 1.5),
  {
    name: 'p50-above-gateway-ms',
    what: 'median time of a first payment above what the gateway takes, in ms (16 in flight)',
    goal: 30,
    goalIs: 'at most',
    needs: ['seatbelt'],
    operation: 'payment',
    valueFrom: ({ series }) => aboveGateway(series),
  },
  roundTripsTo('postgres', 'payment', 6),
  roundTripsTo('postgres', 'hold', 4),
  roundTripsTo('postgres', 'checkout', 9),
  roundTripsTo('postgres', 'replay', 1),
  roundTripsTo('redis', 'payment', 2),
  roundTripsTo('redis', 'hold', 2),
  roundTripsTo('redis', 'checkout', 2),
  {
    name: 'files-per-payment',
    what: 'own files that one first payment runs through, without packages/http and packages/locks',
    goal: 22,
    goalIs: 'at most',
    needs: ['seatbelt'],
    operation: 'payment',
    valueFrom: ({ filesPerPayment }) => filesPerPayment?.files.length ?? null,
  },
]

/** Every goal with its value. Null where a run did not measure it. */
export function computeRatios(measured: Measured): Ratio[] {
  return goals.map((goal) => createRatio(goal, rounded(goal.valueFrom(measured))))
}

function throughputTo(other: SystemName, goal: number): Goal {
  return {
    name: `throughput-to-${other}`,
    what: `first payments of distinct orders a second, divided by those of ${systems[other].title} (${judgedInFlight} in flight)`,
    goal,
    goalIs: 'at least',
    needs: ['seatbelt', other],
    operation: 'payment',
    valueFrom: ({ series }) => medianRatio(series, other, 'payment', (run) => run.throughputPerSecond),
  }
}

function roundTripsTo(server: keyof typeof serverTitles, operation: Goal['operation'], goal: number): Goal {
  return {
    name: `round-trips-${server}-${operation}`,
    what: `round trips to ${serverTitles[server]}: ${operationTitles[operation].toLowerCase()}`,
    goal,
    goalIs: 'at most',
    needs: ['seatbelt'],
    operation,
    valueFrom: ({ roundTrips }) =>
      roundTrips.find((one) => one.system === 'seatbelt' && one.operation === operation)?.[server] ?? null,
  }
}

function find(
  series: readonly Series[],
  system: Subject,
  operation: OperationName,
  inFlight: number,
): Series | undefined {
  return series.find((one) => one.system === system && one.operation === operation && one.inFlight === inFlight)
}

/** The median of the rounds' ratios: what slows the machine down for a while slows down both systems of a round. */
function medianRatio(
  series: readonly Series[],
  other: SystemName,
  operation: OperationName,
  of: (run: SeriesRun) => number | null,
): number | null {
  const ours = find(series, 'seatbelt', operation, judgedInFlight)
  const theirs = find(series, other, operation, judgedInFlight)
  const ratios = (ours?.runs ?? []).flatMap((run) => {
    const sameRound = theirs?.runs.find(({ round }) => round === run.round)
    const [dividend, divisor] = [of(run), sameRound === undefined ? null : of(sameRound)]
    return dividend === null || divisor === null || divisor === 0 ? [] : [dividend / divisor]
  })
  return median(ratios)
}

/**
 * A payment asks the gateway twice. The simulator's times lie evenly around their mean, so that the two means add up to
 * the median of both requests together.
 */
function aboveGateway(series: readonly Series[]): number | null {
  const payment = find(series, 'seatbelt', 'payment', 16)
  const create = find(series, 'gateway', 'create-intent', 16)
  const confirm = find(series, 'gateway', 'confirm-intent', 16)
  const differences = (payment?.runs ?? []).flatMap(({ round, p50Ms }) => {
    const [created, confirmed] = [create, confirm].map((one) => one?.runs.find((run) => run.round === round)?.meanMs)
    return p50Ms === null || created == null || confirmed == null ? [] : [p50Ms - created - confirmed]
  })
  return median(differences)
}
