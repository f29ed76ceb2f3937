export interface BenchPlan {
  /** Seats of the events, and places of each as many. The first and the last are compared. */
  readonly sizes: readonly [number, ...number[]]
  /** How often each size takes its turn, over the whole run: whatever else the machine does hits all of them. */
  readonly rounds: number
  readonly holdsPerRound: number
  readonly inFlight: number
}

/** Some two minutes. */
export const fullPlan: BenchPlan = {
  sizes: [1_000, 3_000, 10_000, 30_000, 100_000],
  rounds: 12,
  holdsPerRound: 100,
  inFlight: 4,
}

/** Every measurement, as short as it can be: for the test of this benchmark, not for its figures. */
export const quickPlan: BenchPlan = { sizes: [500, 1_000], rounds: 1, holdsPerRound: 10, inFlight: 2 }
