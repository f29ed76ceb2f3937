import type { HoldRequest } from '@seatbelt/booking'
import { quantile, rounded } from '../bench-locks/statistics.ts'
import { type HoldKind, type HoldSeries, holdKinds } from './holds-report.ts'
import { newCall, type OpenHall } from './open-hall.ts'
import type { BenchPlan } from './plan.ts'

export interface HoldsMeasurement {
  /** Holds at each event, each kind in turn, and gives back what it held. */
  runRound(signal: AbortSignal): Promise<void>
  series(): HoldSeries[]
}

/** Measures holds from the call of the operation to its answer. Nobody else wants the same seats: what grows is the event. */
export function measureHolds(
  halls: readonly OpenHall[],
  { holdsPerRound, inFlight }: Pick<BenchPlan, 'holdsPerRound' | 'inFlight'>,
): HoldsMeasurement {
  const durations = new Map<string, number[]>()
  let customers = 0

  async function holdOnce(hall: OpenHall, kind: HoldKind, turn: number, durationsMs: number[]): Promise<void> {
    const { operations, accountId } = hall.shop
    customers += 1
    const customerId = `bench-${customers}`
    const startedAt = performance.now()
    const of = requestFor(hall, kind, turn)
    const result = await operations.holdSeats(newCall(accountId), { eventId: hall.eventId, customerId, of })
    durationsMs.push(performance.now() - startedAt)
    if (result.kind !== 'answered') throw new Error(`nothing was held: ${JSON.stringify(result)}`)
    const { id: holdId } = JSON.parse(result.answer.body) as { id: string }
    await operations.releaseHold(newCall(accountId), { holdId, customerId })
  }

  async function holdMany(hall: OpenHall, kind: HoldKind): Promise<void> {
    const durationsMs = durations.get(nameOf(hall, kind)) ?? []
    durations.set(nameOf(hall, kind), durationsMs)
    await Promise.all(
      Array.from({ length: inFlight }, async (_, lane) => {
        // Each lane has turns, and so seats, of its own.
        for (let turn = lane; turn < holdsPerRound; turn += inFlight) await holdOnce(hall, kind, turn, durationsMs)
      }),
    )
  }

  return {
    async runRound(signal) {
      for (const kind of holdKinds) {
        for (const hall of halls) {
          signal.throwIfAborted()
          await holdMany(hall, kind)
        }
      }
    },
    series: () =>
      holdKinds.flatMap((kind) =>
        halls.map((hall) => {
          const measured = durations.get(nameOf(hall, kind)) ?? []
          const [p50Ms, p99Ms] = [0.5, 0.99].map((share) => rounded(quantile(measured, share)))
          const { eventSeats } = hall
          return { kind, eventSeats, inFlight, holds: measured.length, p50Ms: p50Ms ?? null, p99Ms: p99Ms ?? null }
        }),
      ),
  }
}

function nameOf({ eventId }: OpenHall, kind: HoldKind): string {
  return `${eventId} ${kind}`
}

const people = 2

function requestFor({ freePairs, sectionIds, tierId }: OpenHall, kind: HoldKind, turn: number): HoldRequest {
  if (kind === 'places') return { kind, tierId, quantity: people }
  if (kind === 'adjacent') return { kind, sectionId: itemAt(sectionIds, turn), quantity: people }
  return { kind, seatIds: itemAt(freePairs, turn) }
}

function itemAt<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length]
  if (item === undefined) throw new Error('there is nothing to choose from')
  return item
}
