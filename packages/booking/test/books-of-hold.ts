import type { BoxOffice } from './box-office.ts'

/** The state of a hold in the database and at the gateway, with its booking, order and payment. */
export interface BooksOfHold {
  readonly hold: string
  readonly booking: string
  readonly order: string
  /** Claims of the hold, and those that do not lapse. */
  readonly claims: number
  readonly pinned: number
  /** Seats that are booked for good. */
  readonly seats: number
  /** Of the event's tier. */
  readonly held: number
  readonly sold: number
  /** Captures at the gateway for the order of the latest checkout. */
  readonly charges: number
  readonly refunded: number
}

export async function booksOfHold(office: BoxOffice, holdId: string): Promise<BooksOfHold> {
  const [row] = await office.sql<Omit<BooksOfHold, 'charges'> & { orderId: string | null }>(
    `SELECT holds.state::text AS hold, coalesce(bookings.state::text, 'none') AS booking, holds.order_id AS "orderId",
            coalesce(orders.state::text, 'none') AS "order",
            (SELECT count(*) FROM seat_claims WHERE hold_id = holds.id)::int AS claims,
            (SELECT count(*) FROM seat_claims WHERE hold_id = holds.id AND pinned)::int AS pinned,
            (SELECT count(*) FROM booked_seats WHERE booking_id = bookings.id AND released_at IS NULL)::int AS seats,
            tiers.held, tiers.sold,
            coalesce((SELECT sum(refunded_minor) FROM payments WHERE order_id = holds.order_id), 0)::int AS refunded
       FROM holds LEFT JOIN bookings ON bookings.hold_id = holds.id LEFT JOIN orders ON orders.id = holds.order_id
       LEFT JOIN tiers ON tiers.event_id = holds.event_id
      WHERE holds.id = $1`,
    [holdId],
  )
  if (!row) throw new Error(`there is no hold ${holdId}`)
  const { orderId, ...books } = row
  return { ...books, charges: orderId === null ? 0 : (await office.charges(orderId)).length }
}
