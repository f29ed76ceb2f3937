import { type SystemName, systemNames } from './systems/systems.ts'

export const operationNames = ['payment', 'replay', 'hold', 'checkout', 'create-intent', 'confirm-intent'] as const

export type OperationName = (typeof operationNames)[number]

/** One kind of request at one concurrency, at each of the systems in turn. */
export interface Cell {
  readonly operation: OperationName
  readonly inFlight: number
  /** Empty: no API; the load client asks the gateway itself. */
  readonly systems: readonly SystemName[]
  /** The rounds in which it takes its turn, from the first one on. */
  readonly rounds: number
  readonly windowMs: number
}

export interface BenchPlan {
  readonly rounds: number
  /** No round begins that would end later than this after the first one began: a busy machine gets fewer rounds. */
  readonly roundsWithinMs: number
  readonly cells: readonly Cell[]
  /** Before each measured window: connections are opened again and caches filled. */
  readonly leadMs: number
  /** Before the first round, for each system at 64 in flight: the compiler of each process must have settled. */
  readonly warmUpMs: number
  /** Operations whose round trips are counted, one at a time. */
  readonly countedOperations: number
  /** The most operations that are profiled because they missed a goal. */
  readonly profiledOperations: number
}

const paying = systemNames.filter((name) => name !== 'seatbelt-webhooks')
/** Without them a goal cannot be judged. */
const judged = paying.filter((name) => name !== 'seatbelt-3')
const replaying = paying.filter((name) => name !== 'control')
const selling: readonly SystemName[] = ['control', 'seatbelt', 'seatbelt-3']

/** Some eleven minutes. The goals are judged by the cells that take a turn in every round. */
export const fullPlan: BenchPlan = {
  rounds: 5,
  roundsWithinMs: 540_000,
  cells: [
    { operation: 'create-intent', inFlight: 16, systems: [], rounds: 5, windowMs: 1_000 },
    { operation: 'confirm-intent', inFlight: 16, systems: [], rounds: 5, windowMs: 1_000 },
    { operation: 'payment', inFlight: 64, systems: paying, rounds: 5, windowMs: 3_000 },
    { operation: 'payment', inFlight: 16, systems: paying, rounds: 5, windowMs: 2_000 },
    { operation: 'payment', inFlight: 1, systems: paying, rounds: 2, windowMs: 2_500 },
    { operation: 'payment', inFlight: 64, systems: ['seatbelt-webhooks'], rounds: 3, windowMs: 3_000 },
    { operation: 'replay', inFlight: 64, systems: replaying, rounds: 5, windowMs: 1_500 },
    { operation: 'replay', inFlight: 16, systems: replaying, rounds: 2, windowMs: 1_000 },
    { operation: 'replay', inFlight: 1, systems: replaying, rounds: 2, windowMs: 1_000 },
    { operation: 'hold', inFlight: 64, systems: selling, rounds: 3, windowMs: 2_000 },
    { operation: 'hold', inFlight: 16, systems: selling, rounds: 2, windowMs: 1_000 },
    { operation: 'hold', inFlight: 1, systems: selling, rounds: 2, windowMs: 1_000 },
    { operation: 'checkout', inFlight: 64, systems: selling, rounds: 3, windowMs: 2_500 },
    { operation: 'checkout', inFlight: 16, systems: selling, rounds: 2, windowMs: 1_500 },
    { operation: 'checkout', inFlight: 1, systems: selling, rounds: 2, windowMs: 1_500 },
  ],
  leadMs: 500,
  warmUpMs: 3_000,
  countedOperations: 9,
  profiledOperations: 4,
}

/** Some two minutes: what the goals are judged by, with fewer and shorter windows. */
export const quickPlan: BenchPlan = {
  rounds: 3,
  roundsWithinMs: 80_000,
  cells: [
    { operation: 'create-intent', inFlight: 16, systems: [], rounds: 3, windowMs: 500 },
    { operation: 'confirm-intent', inFlight: 16, systems: [], rounds: 3, windowMs: 500 },
    { operation: 'payment', inFlight: 64, systems: judged, rounds: 3, windowMs: 1_300 },
    { operation: 'payment', inFlight: 16, systems: ['floor', 'seatbelt'], rounds: 3, windowMs: 1_000 },
    { operation: 'replay', inFlight: 64, systems: ['floor', 'seatbelt'], rounds: 3, windowMs: 800 },
    { operation: 'hold', inFlight: 64, systems: ['seatbelt'], rounds: 1, windowMs: 1_000 },
    { operation: 'checkout', inFlight: 64, systems: ['seatbelt'], rounds: 1, windowMs: 1_500 },
  ],
  leadMs: 300,
  warmUpMs: 1_500,
  countedOperations: 3,
  profiledOperations: 1,
}

/** Keeps what is about one system, and what the gateway takes. */
export function planFor(plan: BenchPlan, only: SystemName | null): BenchPlan {
  if (only === null) return plan
  const cells = plan.cells
    .map((cell) => ({
      ...cell,
      isAboutGateway: cell.systems.length === 0,
      systems: cell.systems.filter((name) => name === only),
    }))
    .filter(({ isAboutGateway, systems }) => isAboutGateway || systems.length > 0)
  return { ...plan, cells }
}
