import { Prisma, type Tx } from '@seatbelt/database'

export interface DeletedClaim {
  readonly seatId: string
  readonly holdId: string
}

/**
 * Deletes claims, and says which.
 *
 * The array is made first: each claim is locked for it, in the order of the seats, as all do who lock several. Of one that had to be
 * waited for `which` is asked again; and what somebody has made of its seat meanwhile is another claim, which stays.
 */
export function deleteClaims(tx: Tx, which: Prisma.Sql): Promise<DeletedClaim[]> {
  return tx.$queryRaw<DeletedClaim[]>(Prisma.sql`
    DELETE FROM seat_claims WHERE seat_id = ANY (ARRAY(
      SELECT seat_id FROM seat_claims WHERE ${which} ORDER BY seat_id FOR UPDATE))
    RETURNING seat_id AS "seatId", hold_id AS "holdId"`)
}
