import { Prisma, type Tx } from '@seatbelt/database'
import type { Booking } from '@seatbelt/domain'
import { deleteClaims } from '../hold/delete-claims.ts'
import { type SeatNews, tellFree } from '../hold/free-hold.ts'
import { readBooking } from './booking-queries.ts'

/**
 * Cancels a booking and gives back what it was of, under its order's lock. Its money is the caller's business.
 *
 * The booking first: the triggers that keep booked claims look at it.
 */
export async function releaseBooking(news: SeatNews, tx: Tx, booking: Booking): Promise<Booking> {
  const { id, tierId, quantity } = booking
  await tx.$executeRaw`
    UPDATE bookings SET state = 'cancelled', cancelled_at = clock_timestamp() WHERE id = ${id}::uuid`
  if (tierId === null) {
    await tx.$executeRaw`UPDATE booked_seats SET released_at = clock_timestamp() WHERE booking_id = ${id}::uuid`
    await deleteClaims(tx, Prisma.sql`booking_id = ${id}::uuid`)
  } else {
    await tx.$executeRaw`UPDATE tiers SET sold = greatest(0, sold - ${quantity}) WHERE id = ${tierId}::uuid`
  }
  tellFree(news, tx, booking)
  return readBooking(tx, id)
}
