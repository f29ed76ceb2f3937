import { allOf } from './all-of.ts'
import type {
  BookedSeatRow,
  BookingRow,
  ClaimRow,
  EventRow,
  HoldRow,
  SeatBooks,
  SectionRow,
  TierRow,
} from './seat-evidence.ts'

/**
 * What invariants need of seats, and no more: seats that nobody ever claimed are only counted, and what belongs to a tier is added
 * up where it is, so that five thousand places are one row here.
 */
export function readSeatBooks(
  rowsOf: <Row extends object>(query: string) => Promise<Row[]>,
): Promise<Omit<SeatBooks, 'seen'>> {
  return allOf({
    events: rowsOf<EventRow>('SELECT id, account_id AS "accountId" FROM events'),
    tiers: rowsOf<TierRow>(
      `SELECT id, capacity, sold, held, coalesce("heldByRows", 0) AS "heldByRows", coalesce("soldByRows", 0) AS "soldByRows"
         FROM tiers LEFT JOIN
              (SELECT tier_id,
                      sum(quantity) FILTER (WHERE holds.state IN ('active', 'checking_out'))::integer AS "heldByRows",
                      sum(quantity) FILTER (WHERE bookings.state <> 'cancelled')::integer AS "soldByRows"
                 FROM holds LEFT JOIN bookings ON bookings.hold_id = holds.id GROUP BY tier_id) rows ON rows.tier_id = tiers.id`,
    ),
    sections: rowsOf<SectionRow>(
      `SELECT section_id AS id, count(*)::integer AS claims,
              (SELECT count(*)::integer FROM seats WHERE seats.section_id = seat_claims.section_id) AS seats
         FROM seat_claims GROUP BY section_id`,
    ),
    holds: rowsOf<HoldRow>(
      `SELECT id, event_id AS "eventId", customer_id AS "customerId", state::text AS state, seat_ids AS "seatIds",
              tier_id AS "tierId", quantity, amount_minor AS "amountMinor", currency, expires_at AS "expiresAt",
              order_id AS "orderId", created_at AS "createdAt" FROM holds`,
    ),
    bookings: rowsOf<BookingRow>(
      `SELECT id, customer_id AS "customerId", hold_id AS "holdId", order_id AS "orderId", state::text AS state,
              created_at AS "createdAt" FROM bookings`,
    ),
    claims: rowsOf<ClaimRow>(
      'SELECT seat_id AS "seatId", hold_id AS "holdId", booking_id AS "bookingId" FROM seat_claims',
    ),
    bookedSeats: rowsOf<BookedSeatRow>(
      'SELECT booking_id AS "bookingId", seat_id AS "seatId", released_at AS "releasedAt" FROM booked_seats',
    ),
  })
}
