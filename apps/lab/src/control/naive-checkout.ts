import { randomUUID } from 'node:crypto'
import type { CheckoutResult, NewCheckout } from '@seatbelt/booking'
import { type Booking, type Call, decideToUse, type Hold, type Payment } from '@seatbelt/domain'

import type { NaiveBookingDeps } from './naive-booking.ts'
import { bookNaivePayment, chargeNaively } from './naive-charge.ts'
import { findNaiveHold, toNaiveBooking, withLapsed } from './naive-holds.ts'
import { answered, refused } from './naive-parts.ts'

/**
 * Reads whether the hold is good, charges, and writes that it is booked. While the gateway thinks, the hold can lapse,
 * another customer can take the seats, and the same customer can check out once more.
 */
export async function checkOutNaively(
  deps: NaiveBookingDeps,
  { accountId }: Call,
  { holdId, customerId, paymentMethod, receiptEmail }: NewCheckout,
): Promise<CheckoutResult> {
  const { payments, renderings } = deps
  const hold = await findNaiveHold(payments.database, accountId, holdId)
  if (hold === null) return refused({ code: 'hold-not-found', holdId })
  const decision = decideToUse(withLapsed(hold), customerId)
  if (decision.code !== 'use') return refused(decision)

  const { amountMinor, currency } = hold
  const order = { id: randomUUID(), accountId, customerId, amountMinor, currency }
  await payments.database.client.order.create({ data: { ...order, purpose: 'checkout', receiptEmail } })
  const { payment, outcome } = await chargeNaively(payments.gateway, order, { paymentMethod, capture: 'automatic' })
  if (outcome.state === 'succeeded') {
    await bookNaivePayment(payments, payment, outcome.gatewayChargeId)
    return answered(renderings.checkoutEnded({ kind: 'booked', booking: await book(deps, hold, payment) }))
  }
  if (outcome.state !== 'declined') throw new Error(`a charge is never ${outcome.state}`)
  await payments.database.client.order.update({
    where: { id: order.id },
    data: { state: 'cancelled', version: { increment: 1 } },
  })
  return answered(renderings.checkoutEnded({ kind: 'not-paid', hold: { ...hold, orderId: order.id }, outcome }))
}

async function book({ payments }: NaiveBookingDeps, hold: Hold, { id: paymentId, orderId }: Payment): Promise<Booking> {
  const { client } = payments.database
  const { id: holdId, accountId, eventId, customerId, seatIds, tierId, quantity } = hold
  const ids = { id: randomUUID(), accountId, eventId, customerId, holdId, orderId, paymentId }
  const booking = await client.booking.create({ data: { ...ids, state: 'confirmed', confirmedAt: new Date() } })
  await client.bookedSeat.createMany({ data: seatIds.map((seatId) => ({ accountId, bookingId: booking.id, seatId })) })
  await client.seatClaim.updateMany({ where: { holdId }, data: { pinned: true, bookingId: booking.id } })
  if (tierId !== null) {
    await client.tier.update({
      where: { id: tierId },
      data: { held: { decrement: quantity }, sold: { increment: quantity } },
    })
  }
  await client.hold.update({ where: { id: holdId }, data: { state: 'booked', orderId, checkouts: 1 } })
  return toNaiveBooking(booking, hold)
}
