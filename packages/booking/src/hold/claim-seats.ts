import { Prisma, type Tx } from '@seatbelt/database'
import type { Hold } from '@seatbelt/domain'
import { deleteClaims } from './delete-claims.ts'
import { type HoldRow, holdColumns, toHold } from './hold-rows.ts'

export interface NewSeatHold
  extends Pick<Hold, 'id' | 'accountId' | 'eventId' | 'customerId' | 'amountMinor' | 'currency'> {
  readonly seatIds: readonly string[]
  readonly holdMs: number
  /** Claims of some of the seats were seen to have lapsed. */
  readonly someLapsed: boolean
}

export type SeatsClaimed =
  | { readonly kind: 'claimed'; readonly hold: Hold }
  /** All was written but these: the transaction is to be rolled back. */
  | { readonly kind: 'taken'; readonly seatIds: readonly string[] }

/**
 * Makes a hold and claims its seats, in the order of the seats, as all do who lock several.
 *
 * Guarantees: a seat is claimed by one hold, whoever else is at it, because the primary key of `seat_claims` decides. An insert that
 * meets one that is not yet committed waits for it.
 */
export async function claimSeats(tx: Tx, { someLapsed, ...hold }: NewSeatHold): Promise<SeatsClaimed> {
  const seatIds = hold.seatIds.toSorted()
  if (someLapsed) await deleteClaims(tx, lapsedOf(seatIds))
  const { claimedIds, ...row } = await insert(tx, { ...hold, seatIds })
  if (claimedIds.length === seatIds.length) return { kind: 'claimed', hold: toHold(row, null) }
  return { kind: 'taken', seatIds: seatIds.filter((id) => !claimedIds.includes(id)) }
}

/** By the clock, which is read again where a claim was waited for: its owner may have extended the hold, or begun to pay for it. */
function lapsedOf(seatIds: readonly string[]): Prisma.Sql {
  return Prisma.sql`seat_id = ANY (${seatIds}::uuid[]) AND NOT pinned AND expires_at <= clock_timestamp()`
}

/** ON CONFLICT without a target: it does not matter which of two indexes would have refused the row. */
async function insert(tx: Tx, hold: Omit<NewSeatHold, 'someLapsed'>): Promise<HoldRow & { claimedIds: string[] }> {
  const [row] = await tx.$queryRaw<(HoldRow & { claimedIds: string[] })[]>`
    WITH hold AS (
      INSERT INTO holds (id, account_id, event_id, customer_id, seat_ids, quantity, amount_minor, currency, expires_at)
      VALUES (${hold.id}::uuid, ${hold.accountId}::uuid, ${hold.eventId}::uuid, ${hold.customerId}, ${hold.seatIds}::uuid[],
              ${hold.seatIds.length}, ${hold.amountMinor}, ${hold.currency},
              clock_timestamp() + make_interval(secs => ${hold.holdMs} / 1000.0))
      RETURNING *),
    claims AS (
      INSERT INTO seat_claims (seat_id, section_id, hold_id, expires_at)
      SELECT seat.id, seat.section_id, hold.id, hold.expires_at FROM hold JOIN seats AS seat ON seat.id = ANY (hold.seat_ids)
       ORDER BY seat.id
      ON CONFLICT DO NOTHING RETURNING seat_id)
    SELECT ${holdColumns}, ARRAY(SELECT seat_id FROM claims) AS "claimedIds" FROM hold`
  if (!row) throw new Error(`hold ${hold.id} was not written`)
  return row
}
