import { afterCommit, Prisma, type Tx } from '@seatbelt/database'
import type { Hold } from '@seatbelt/domain'
import type { TellSeatChange } from '../live/seat-change.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import { deleteClaims } from './delete-claims.ts'

/** What has to hear of seats that came free. */
export interface SeatNews {
  readonly tell: TellSeatChange
  /** Opens the cheap door for them. */
  readonly forget: (accountId: string, seatIds: readonly string[]) => void
}

export function seatNews({ tell, layers }: Pick<BookingDeps, 'tell' | 'layers'>): SeatNews {
  return { tell, forget: layers.seatHint.forget }
}

type Freed = Pick<Hold, 'id' | 'accountId' | 'eventId' | 'seatIds' | 'tierId' | 'quantity'>

/**
 * Ends a hold and gives back what it held, under its row's lock. What somebody else has taken over since it lapsed stays with
 * them: only claims of this very hold are deleted, and none that is booked.
 */
export async function freeHold(news: SeatNews, tx: Tx, hold: Freed, state: 'released' | 'expired'): Promise<void> {
  // The hold before its claims: the trigger that keeps pinned claims looks at it, in a statement of its own.
  await tx.$executeRaw`UPDATE holds SET state = ${state}::hold_state, left_ms = NULL WHERE id = ${hold.id}::uuid`
  if (hold.tierId === null) {
    const freed = await deleteClaims(tx, Prisma.sql`hold_id = ${hold.id}::uuid AND booking_id IS NULL`)
    return tellFree(news, tx, { ...hold, seatIds: freed.map(({ seatId }) => seatId) })
  }
  // Never below nothing, whatever was done to the counter by hand: what ends here may be a payment, which must come to its end.
  // The auditor compares counters with rows.
  await tx.$executeRaw`
    UPDATE tiers SET held = greatest(0, held - ${hold.quantity}) WHERE id = ${hold.tierId}::uuid`
  tellFree(news, tx, hold)
}

/** For whoever watches, once this is committed. Of seats only those that are free now: the others are somebody else's. */
export function tellFree({ tell, forget }: SeatNews, tx: Tx, freed: Omit<Freed, 'id'>): void {
  const { accountId, eventId, tierId } = freed
  const seatIds = freed.seatIds.toSorted()
  const quantity = tierId === null ? seatIds.length : freed.quantity
  if (quantity === 0) return
  afterCommit(tx, () => {
    forget(accountId, seatIds)
    tell({ eventId, seatIds, tierId, quantity, state: 'free' })
  })
}
