import type { LossPlan } from './force-losses.ts'
import type { ContentionPlan } from './measure-contention.ts'
import type { HeartbeatPlan } from './measure-heartbeat.ts'
import type { Cell } from './run-slice.ts'

export interface BenchPlan {
  /** How often everything that is compared takes its turn, over the whole run. */
  readonly rounds: number
  /** For each number in flight a comparison of its own, with so many rounds in each of the run's. */
  readonly comparisons: { readonly inFlight: readonly number[]; readonly rounds: number; readonly sliceMs: number }
  readonly contention: ContentionPlan
  readonly losses: LossPlan
  readonly quorumLosses: LossPlan
  readonly validityMs: number
  readonly heartbeats: readonly HeartbeatPlan[]
}

const one = (contenders: number, workMs: number): Cell => ({ contenders, resources: 1, workMs })
/** Few contenders for many resources: eight of a thousand meet now and then. */
const many = (resources: number, workMs: number): Cell => ({ contenders: 8, resources, workMs })

/** Some six minutes. */
export const fullPlan: BenchPlan = {
  rounds: 3,
  comparisons: { inFlight: [32, 1], rounds: 5, sliceMs: 250 },
  contention: {
    cells: [0, 5, 50].flatMap((workMs) => [
      ...[1, 2, 8, 32].map((contenders) => one(contenders, workMs)),
      many(1_000, workMs),
    ]),
    sliceMs: (workMs) => 250 + 9 * workMs,
  },
  losses: { leasesPerFault: 400, ttlMs: 1_500 },
  quorumLosses: { leasesPerFault: 300, ttlMs: 1_500 },
  validityMs: 8_000,
  heartbeats: [
    { leases: 10_000, ttlMs: 30_000, windowMs: 10_000, windows: 3 },
    { leases: 10_000, ttlMs: 10_000, windowMs: 10_000 / 3, windows: 3 },
  ],
}

/** Every measurement, as short as it can be: for the test of this benchmark, not for its figures. */
export const quickPlan: BenchPlan = {
  rounds: 1,
  comparisons: { inFlight: [32, 1], rounds: 1, sliceMs: 50 },
  contention: {
    cells: [0, 5].flatMap((workMs) => [one(1, workMs), one(8, workMs), many(1_000, workMs)]),
    sliceMs: () => 50,
  },
  losses: { leasesPerFault: 20, ttlMs: 600 },
  quorumLosses: { leasesPerFault: 20, ttlMs: 600 },
  validityMs: 1_000,
  heartbeats: [{ leases: 200, ttlMs: 1_500, windowMs: 500, windows: 1 }],
}
