import type { SeatOperation } from '../../src/auditor/search-seat-history.ts'

/**
 * What the search is compared with: it tries everything, tick by tick, and knows no shortcut. Time is whole, each step of the seat
 * is taken at a tick, a hold lapses by a step of its own, and a checkout without an answer is played to each of its ends.
 */
export function isExplained(operations: readonly SeatOperation[], lastTick: number): boolean {
  const known = new Map<string, boolean>()

  function canGoOn(tick: number, open: readonly number[], seat: Seat): boolean {
    const place = JSON.stringify([tick, open, seat])
    const before = known.get(place)
    if (before !== undefined) return before
    const answer = tryAll(tick, open, seat)
    known.set(place, answer)
    return answer
  }

  function tryAll(tick: number, open: readonly number[], seat: Seat): boolean {
    const certain = open.flatMap((index) => operations[index] ?? []).filter(({ isCertain }) => isCertain)
    if (certain.length === 0) return true
    if (tick > lastTick || certain.some(({ endedAt }) => endedAt < tick)) return false
    if (ownSteps(seat, tick).some((next) => canGoOn(tick, open, next))) return true
    for (const index of open) {
      const operation = operations[index]
      if (operation === undefined || operation.sentAt > tick || operation.endedAt < tick) continue
      const rest = open.filter((other) => other !== index)
      if (effects(seat, operation, tick).some((next) => canGoOn(tick, rest, next))) return true
    }
    return canGoOn(tick + 1, open, seat)
  }

  return canGoOn(
    0,
    operations.map((_, index) => index),
    { is: 'free' },
  )
}

/** `until` null: nobody can say until when. */
type Seat =
  | { readonly is: 'free' }
  | { readonly is: 'held'; readonly by: string; readonly from: number; readonly until: number | null }
  | { readonly is: 'pinned'; readonly by: string; readonly from: number }
  | { readonly is: 'booked'; readonly by: string }

/** What becomes of a seat without anybody's doing: a hold lapses, a payment ends. */
function ownSteps(seat: Seat, tick: number): Seat[] {
  if (seat.is === 'held') return tick >= (seat.until ?? seat.from) ? [{ is: 'free' }] : []
  if (seat.is !== 'pinned') return []
  const { by, from } = seat
  return [{ is: 'booked', by }, { is: 'free' }, { is: 'held', by, from: Math.max(from, tick), until: null }]
}

function effects(seat: Seat, { kind, holdId: by, isCertain, until }: SeatOperation, tick: number): Seat[] {
  if (kind === 'hold') return seat.is === 'free' ? [{ is: 'held', by, from: until ?? tick, until }] : []
  if (seat.is === 'free' || seat.by !== by) return []
  if (kind === 'cancel') return seat.is === 'booked' ? [{ is: 'free' }] : []
  if (seat.is !== 'held') return []
  if (kind === 'release') return [{ is: 'free' }]
  if (seat.until !== null && tick >= seat.until) return []
  if (kind === 'extend') return [{ is: 'held', by, from: until ?? seat.from, until }]
  return isCertain ? [{ is: 'booked', by }] : [{ is: 'pinned', by, from: seat.from }]
}
