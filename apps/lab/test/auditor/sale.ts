import type { SeatAttempt } from '../../src/auditor/seat-attempt.ts'
import {
  accountId,
  ledgerEntry,
  type MutableEvidence,
  orderRow,
  type PaidOrder,
  paidOrder,
  paymentRow,
  refundEntry,
  rowOf,
  sha,
  transferRow,
} from './history.ts'

export const eventId = 'event-1'
export const sectionId = 'section-1'
export const tierId = 'tier-1'

/** Something that a customer had for a while, with the order that paid for it. */
export interface Seated extends PaidOrder {
  readonly customerId: string
  readonly holdId: string
  readonly bookingId: string
  readonly seatIds: readonly string[]
  readonly tierId: string | null
  readonly quantity: number
  /** When it was held, in milliseconds. */
  readonly heldAt: number
}

export function sale(
  number: number,
  { seatIds, tierId, quantity, heldAt }: Pick<Seated, 'seatIds' | 'tierId' | 'quantity' | 'heldAt'>,
): Seated {
  return {
    ...{ ...paidOrder(number), key: `key-checkout-${number}`, customerId: `customer-${number}` },
    ...{ holdId: `hold-${number}`, bookingId: `booking-${number}` },
    ...{ seatIds, tierId, quantity, heldAt },
  }
}

/** Was booked first, and cancelled. */
export const former = sale(700, { seatIds: ['seat-1'], tierId: null, quantity: 1, heldAt: 10_000 })
/** Has one of the seats of the former, and another. */
export const owner = sale(701, { seatIds: ['seat-1', 'seat-2'], tierId: null, quantity: 2, heldAt: 20_000 })
export const standing = sale(702, { seatIds: [], tierId, quantity: 3, heldAt: 20_000 })
/** Held a seat and let it lapse. */
export const stroller = sale(703, { seatIds: ['seat-3'], tierId: null, quantity: 1, heldAt: 10_000 })

/** How long a hold lasts here. */
export const holdMs = 30_000

/** A small hall with a tier: booked, cancelled and booked again, walked away from. Everything as it must be. */
export function addSale(history: MutableEvidence): void {
  const { books } = history.seats
  books.events.push({ id: eventId, accountId })
  for (const one of [former, owner, standing, stroller]) addHeld(history, one)
  for (const one of [former, owner, standing]) addBooked(history, one)
  addCancelled(history, former)
  rowOf(books.holds, stroller.holdId).state = 'expired'
  const counted = { sold: standing.quantity, held: 0 }
  books.tiers.push({ id: tierId, capacity: 5, ...counted, soldByRows: counted.sold, heldByRows: 0 })
  books.sections.push({ id: sectionId, seats: 10, claims: 2 })
  books.seen = {
    tiers: [
      {
        ...{ id: tierId, samples: 4, capacity: 5, leastSold: 0, leastHeld: 0 },
        fullest: { sold: 0, held: 3, at: new Date(20_100) },
      },
    ],
    sections: [{ id: sectionId, samples: 4, seats: 10, mostClaims: 3 }],
  }
}

export function addHeld(history: MutableEvidence, one: Seated): void {
  const { holdId: id, customerId, seatIds, quantity, amountMinor, heldAt } = one
  const expiresAt = new Date(heldAt + holdMs)
  const common = { id, eventId, customerId, quantity, amountMinor, currency: 'EUR', tierId: one.tierId }
  history.seats.books.holds.push({
    ...{ ...common, seatIds: one.tierId === null ? seatIds : null, state: 'active', expiresAt, orderId: null },
    createdAt: new Date(heldAt),
  })
  const told = { ...common, seatIds: [...seatIds], state: 'active', expiresAt: expiresAt.toISOString() }
  addAnswer(history, seatAttempt(one, 'hold', heldAt, { hold: told, status: 201, holdId: null }))
}

/** Checked out a second after it was held. */
export function addBooked(history: MutableEvidence, one: Seated): void {
  const { ledger, books, seats } = history
  const bookedAt = new Date(one.heldAt + 1_050)
  const { bookingId: id, holdId, orderId, customerId } = one
  books.orders.push(orderRow(one, { purpose: 'checkout' }))
  books.payments.push(paymentRow(one))
  books.transfers.push(transferRow(one))
  ledger.push(ledgerEntry(one, { type: 'charge.authorized' }), ledgerEntry(one))
  Object.assign(rowOf(seats.books.holds, holdId), { state: 'booked', orderId })
  seats.books.bookings.push({ id, customerId, holdId, orderId, state: 'confirmed', createdAt: bookedAt })
  for (const seatId of one.seatIds) {
    seats.books.claims.push({ seatId, holdId, bookingId: id })
    seats.books.bookedSeats.push({ bookingId: id, seatId, releasedAt: null })
  }
  addAnswer(history, seatAttempt(one, 'checkout', one.heldAt + 1_000, { booking: toldBooking(one), status: 201 }))
}

/** And cancelled two seconds later. */
function addCancelled(history: MutableEvidence, one: Seated): void {
  const { ledger, books, seats } = history
  const id = `refund-of-${one.bookingId}`
  const { orderId, paymentId, amountMinor } = one
  ledger.push(refundEntry(one, { ourRefundId: id, amountMinor }))
  books.refunds.push({
    ...{ id, orderId, paymentId, amountMinor, currency: 'EUR', origin: 'merchant', state: 'succeeded' },
    ...{ gatewayChargeId: one.chargeId, gatewayRefundId: `re_${id}`, reversedAt: null },
  })
  books.transfers.push(
    transferRow(one, {
      ...{ id: `transfer-${id}`, refundId: id, kind: 'refund' },
      ...{ debitAccount: `merchant:${accountId}`, creditAccount: 'gateway' },
    }),
  )
  rowOf(books.payments, paymentId).refundedMinor = amountMinor
  rowOf(books.orders, orderId).state = 'refunded'
  rowOf(seats.books.bookings, one.bookingId).state = 'cancelled'
  seats.books.claims = seats.books.claims.filter(({ bookingId }) => bookingId !== one.bookingId)
  for (const seat of seats.books.bookedSeats) {
    if (seat.bookingId === one.bookingId) seat.releasedAt = new Date(one.heldAt + 3_050)
  }
  const told = { ...toldBooking(one), state: 'cancelled' }
  addAnswer(history, seatAttempt(one, 'cancel', one.heldAt + 3_000, { booking: told, key: `${one.key}-cancel` }))
}

function toldBooking(one: Seated): NonNullable<SeatAttempt['booking']> {
  const { bookingId: id, customerId, holdId, orderId, paymentId, seatIds, quantity, amountMinor } = one
  return {
    ...{ id, eventId, customerId, holdId, orderId, paymentId, seatIds: [...seatIds], tierId: one.tierId, quantity },
    ...{ amountMinor, currency: 'EUR', state: 'confirmed' },
  }
}

/** An acknowledged attempt, with what is recorded under its key. */
export function addAnswer({ books, seats }: MutableEvidence, attempt: SeatAttempt): void {
  seats.attempts.push(attempt)
  const { key, status, location } = attempt
  books.recordedAnswers.push({ accountId, key, status, location, bodySha256: attempt.bodySha256 ?? '' })
}

/** One that takes a tenth of a second, and is acknowledged. */
export function seatAttempt(
  one: Seated,
  operation: SeatAttempt['operation'],
  sentAt: number,
  changes: Partial<SeatAttempt> = {},
): SeatAttempt {
  const key = operation === 'checkout' ? one.key : `${one.key}-${operation}`
  const { customerId, seatIds, quantity, holdId, bookingId } = one
  return {
    ...{ operation, customerId, eventId, key, seatIds: [...seatIds], tierId: one.tierId, quantity, holdId },
    bookingId: operation === 'cancel' ? bookingId : null,
    ...{ sentAt, endedAt: sentAt + 100, inFlightMs: 90, outcome: 'ok', status: 200, code: null, replayed: false },
    ...{ instance: null, bodySha256: sha(key), location: null, hold: null, booking: null, failedCheckout: null },
    ...changes,
  }
}
