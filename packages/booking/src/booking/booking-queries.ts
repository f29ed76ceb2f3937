import type { Booking as BookingRow, Hold as HoldRow, Tx } from '@seatbelt/database'
import type { Booking } from '@seatbelt/domain'
import { toCurrency } from '@seatbelt/payments'

/** The client of a transaction, or of a statement of its own. */
type Client = Pick<Tx, 'booking'>

/** Of this account only; another account's booking is as unknown as one that never was. */
export async function findBooking(client: Client, accountId: string, bookingId: string): Promise<Booking | null> {
  const row = await client.booking.findUnique({
    where: { accountId_id: { accountId, id: bookingId } },
    include: { hold: true },
  })
  return row && toBooking(row)
}

/** For whoever was led to the booking by a row of its account. */
export async function readBooking(client: Client, bookingId: string): Promise<Booking> {
  return toBooking(await client.booking.findUniqueOrThrow({ where: { id: bookingId }, include: { hold: true } }))
}

/** The booking that this order pays. */
export async function findBookingOfOrder(
  client: Client,
  { orderId }: { readonly orderId: string },
): Promise<Booking | null> {
  const row = await client.booking.findUnique({ where: { orderId }, include: { hold: true } })
  return row && toBooking(row)
}

/** The booking whose latest cancellation this refund is. */
export async function findBookingOfRefund(client: Client, refundId: string): Promise<Booking | null> {
  const row = await client.booking.findUnique({ where: { refundId }, include: { hold: true } })
  return row && toBooking(row)
}

/** What a booking is of, and its price, stand in its hold. */
function toBooking({ hold, ...row }: BookingRow & { readonly hold: HoldRow }): Booking {
  return {
    id: row.id,
    accountId: row.accountId,
    eventId: row.eventId,
    customerId: row.customerId,
    holdId: row.holdId,
    orderId: row.orderId,
    paymentId: row.paymentId,
    refundId: row.refundId,
    state: row.state,
    seatIds: hold.seatIds.toSorted(),
    tierId: hold.tierId,
    quantity: hold.quantity,
    amountMinor: hold.amountMinor,
    currency: toCurrency(hold.currency),
    createdAt: row.createdAt,
    confirmedAt: row.confirmedAt,
    cancelledAt: row.cancelledAt,
  }
}
