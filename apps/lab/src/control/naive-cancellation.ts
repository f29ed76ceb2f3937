import type { CancellationResult } from '@seatbelt/booking'
import { type Booking, type Call, decideToCancelBooking, refundableMinor } from '@seatbelt/domain'

import type { NaiveBookingDeps } from './naive-booking.ts'
import { findNaiveBooking } from './naive-holds.ts'
import { answered, refused, toNaivePayment } from './naive-parts.ts'
import { giveBackNaively } from './naive-refund.ts'

/**
 * Reads whether the booking stands, gives the seats back, and then what is left of the money. Two that read before
 * either has written give the places back twice, and both ask the gateway for the money.
 */
export async function cancelBookingNaively(
  { payments, renderings }: NaiveBookingDeps,
  { accountId }: Call,
  bookingId: string,
): Promise<CancellationResult> {
  const { client } = payments.database
  const booking = await findNaiveBooking(payments.database, accountId, bookingId)
  if (booking === null) return refused({ code: 'booking-not-found', bookingId })
  const decision = decideToCancelBooking(booking, false)
  if (decision.code !== 'cancel') return refused(decision)

  const cancelledAt = new Date()
  await client.booking.update({ where: { id: bookingId }, data: { state: 'cancelled', cancelledAt } })
  await client.bookedSeat.updateMany({ where: { bookingId }, data: { releasedAt: cancelledAt } })
  await client.seatClaim.deleteMany({ where: { bookingId } })
  if (booking.tierId !== null)
    await client.tier.update({ where: { id: booking.tierId }, data: { sold: { decrement: booking.quantity } } })

  const refundId = await giveBackWhatIsLeft(payments, booking)
  if (refundId !== null) await client.booking.update({ where: { id: bookingId }, data: { refundId } })
  const cancelled: Booking = { ...booking, state: 'cancelled', cancelledAt, refundId }
  return answered(renderings.cancellationEnded({ kind: 'cancelled', booking: cancelled }))
}

async function giveBackWhatIsLeft(
  payments: NaiveBookingDeps['payments'],
  { paymentId }: Booking,
): Promise<string | null> {
  const payment = toNaivePayment(await payments.database.client.payment.findFirstOrThrow({ where: { id: paymentId } }))
  const amountMinor = refundableMinor(payment)
  if (amountMinor === 0) return null
  const refund = await giveBackNaively(payments, payment, { amountMinor, reason: null })
  return refund.id
}
