import { afterCommit, Prisma, type Tx } from '@seatbelt/database'
import type { Hold } from '@seatbelt/domain'
import type { TellSeatChange } from './seat-change.ts'

/** What has to hear of seats that came free. */
export interface SeatNews {
  readonly tell: TellSeatChange
  /** Opens the cheap door for them. */
  readonly forget: (accountId: string, seatIds: readonly string[]) => void
}

type Freed = Pick<Hold, 'id' | 'accountId' | 'eventId' | 'seatIds' | 'tierId' | 'quantity'>

/**
 * Ends a hold and gives back what it held, under its row's lock. What somebody else has taken over since it lapsed stays with
 * them: only claims of this very hold are deleted, and none that is booked.
 */
export async function freeHold(news: SeatNews, tx: Tx, hold: Freed, state: 'released' | 'expired'): Promise<void> {
  // The hold before its claims: the trigger that keeps pinned claims looks at it, in a statement of its own.
  await tx.$executeRaw`UPDATE holds SET state = ${state}::hold_state, left_ms = NULL WHERE id = ${hold.id}::uuid`
  if (hold.tierId === null) await deleteClaims(tx, Prisma.sql`hold_id = ${hold.id}::uuid AND booking_id IS NULL`)
  // Never below nothing, whatever was done to the counter by hand: what ends here may be a payment, which must come to its end.
  // The auditor compares counters with rows.
  else
    await tx.$executeRaw`
      UPDATE tiers SET held = greatest(0, held - ${hold.quantity}) WHERE id = ${hold.tierId}::uuid`
  tellFree(news, tx, hold)
}

/** In the order of the seats, as all do who lock several: whoever takes lapsed claims over may be at the very same ones. */
export async function deleteClaims(tx: Tx, which: Prisma.Sql): Promise<void> {
  await tx.$executeRaw`
    WITH claims AS MATERIALIZED (SELECT seat_id FROM seat_claims WHERE ${which} ORDER BY seat_id FOR UPDATE)
    DELETE FROM seat_claims USING claims WHERE seat_claims.seat_id = claims.seat_id AND ${which}`
}

/** For whoever watches, once this is committed. */
export function tellFree({ tell, forget }: SeatNews, tx: Tx, freed: Omit<Freed, 'id'>): void {
  const { accountId, eventId, seatIds, tierId, quantity } = freed
  afterCommit(tx, () => {
    forget(accountId, seatIds)
    tell({ eventId, seatIds, tierId, quantity, state: 'free' })
  })
}
