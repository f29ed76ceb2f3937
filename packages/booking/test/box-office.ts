import { randomUUID } from 'node:crypto'
import type { Booking, Hold } from '@seatbelt/domain'
import type { SimulatorOptions } from '@seatbelt/gateway'
import { recoverPayment, recoverRefund } from '@seatbelt/payments'
import type { Guarded, SeatPreCheckLayer } from '@seatbelt/safety'
import { v7 as newId } from 'uuid'
import {
  accountId,
  bodyOf,
  brief,
  call,
  letLeasesRunOut,
  openShop,
  type Replica,
  type ReplicaParts,
  type Shop,
} from '../../payments/test/shop.ts'
import { cancelBooking } from '../src/booking/cancel-booking.ts'
import { checkOut } from '../src/booking/check-out.ts'
import { createCheckoutPurpose } from '../src/booking/checkout-purpose.ts'
import { createSeatChangePublisher, type SeatChange } from '../src/live/seat-change.ts'
import type { BookingDeps } from '../src/shared/booking-deps.ts'
import type { BookingRenderings, CancellationResult, CheckoutResult } from '../src/shared/operations.ts'

export { accountId, bodyOf, brief, call }

/** A backend for a test, as `openShop` of payments, that sells seats as well. */
export interface BoxOffice extends Shop {
  /** A process of the backend, without the process. `layers` replaces single layers by unsafe ones. */
  open(by: string, parts?: BoxOfficeParts): Promise<Window>
  /** An event that is on sale, straight into the database. */
  newEvent(event?: Partial<TestEvent>): Promise<SoldEvent>
}

export interface BoxOfficeParts extends Omit<ReplicaParts, 'checkout'> {
  readonly seatPreCheck?: SeatPreCheckLayer
  readonly holdMs?: number
  readonly pauseMs?: number
}

export interface Window {
  readonly replica: Replica
  readonly deps: BookingDeps
  /** The faults that it reported. */
  faults(): readonly unknown[]
  /** The changes of seats that it published, in order. */
  readonly published: readonly SeatChange[]
  checkOut(holdId: string, options?: CheckoutOptions): Promise<CheckoutResult>
  cancel(bookingId: string, key?: string): Promise<CancellationResult>
}

export interface CheckoutOptions {
  readonly customerId?: string
  readonly key?: string
  readonly paymentMethod?: string
}

export interface TestEvent {
  readonly seatsPerCustomer: number
  readonly seatsPerCustomerInAll: number | null
  /** Rows of one section, by the numbers of their seats. */
  readonly rows: readonly (readonly number[])[]
  readonly priceMinor: number
  /** Null: no tier. */
  readonly capacity: number | null
  readonly accountId: string
}

export interface SoldEvent {
  readonly eventId: string
  readonly sectionId: string
  /** Row by row, in the order of the numbers; sorted by id as well. */
  readonly seatIds: readonly string[]
  readonly tierId: string
}

/** The customer, unless a test names another one. */
export const customerId = 'customer-1'
/** Long enough that no hold lapses unless a test makes it lapse. */
const defaultHoldMs = 600_000

export async function openBoxOffice(gatewayOptions: Partial<SimulatorOptions> = {}): Promise<BoxOffice> {
  const shop = await openShop(gatewayOptions)
  return {
    ...shop,
    open: (by, parts = {}) => openWindow(shop, by, parts),
    newEvent: (event = {}) => insertEvent(shop, event),
  }
}

async function openWindow(
  shop: Shop,
  by: string,
  { seatPreCheck = passingPreCheck, holdMs = defaultHoldMs, pauseMs = 0, ...parts }: BoxOfficeParts,
): Promise<Window> {
  const published: SeatChange[] = []
  const publishSeatChange = createSeatChangePublisher((change) => published.push(change), seatPreCheck)
  const checkout = createCheckoutPurpose({ renderings, publishSeatChange })
  const replica = await shop.replica(by, { ...parts, checkout })
  const deps: BookingDeps = {
    payments: replica.deps,
    seatPreCheck,
    renderings,
    policy: { holdMs, pauseMs },
    publishSeatChange,
  }
  return {
    replica,
    faults: () => replica.faults,
    deps,
    published,
    checkOut: (holdId, options = {}) => {
      const { key = randomUUID(), paymentMethod = 'pm_card_visa' } = options
      const request = { holdId, customerId: options.customerId ?? customerId, paymentMethod, receiptEmail: null }
      return checkOut(deps, call(key, request), request)
    },
    cancel: (bookingId, key = randomUUID()) => cancelBooking(deps, call(key, { bookingId }), bookingId),
  }
}

/** Every request passes: most tests are about the layers below. */
export const passingPreCheck: SeatPreCheckLayer = { preCheck: () => (_, work) => work(), forget: () => undefined }

async function insertEvent(shop: Shop, options: Partial<TestEvent>): Promise<SoldEvent> {
  const { seatsPerCustomer = 100, seatsPerCustomerInAll = null, priceMinor = 5_000, capacity = 10, ...rest } = options
  const { rows = [[1, 2, 3, 4]] } = options
  const [eventId, sectionId, tierId] = [newId(), newId(), newId()]
  const owner = rest.accountId ?? accountId
  const seats = rows.flatMap((numbers, row) => numbers.map((number) => ({ id: newId(), row, number })))
  await shop.sql(
    `INSERT INTO events (id, account_id, name, currency, sale_opens_at, sale_closes_at, seats_per_customer,
                         seats_per_customer_in_all)
     VALUES ($1, $2, 'A night at the opera', 'EUR', now() - interval '1 day', now() + interval '1 day', $3, $4)`,
    [eventId, owner, seatsPerCustomer, seatsPerCustomerInAll],
  )
  await shop.sql(
    `INSERT INTO event_sections (id, account_id, event_id, position, name, price_minor)
     VALUES ($1, $4, $2, 1, 'Stalls', $3)`,
    [sectionId, eventId, priceMinor, owner],
  )
  await shop.sql(
    `INSERT INTO seats (id, account_id, event_id, section_id, row_position, row_name, number)
     SELECT id, $6, $1, $2, row + 1, chr(65 + row), number
       FROM unnest($3::uuid[], $4::int[], $5::int[]) AS seat (id, row, number)`,
    [
      ...[eventId, sectionId, seats.map(({ id }) => id), seats.map(({ row }) => row)],
      ...[seats.map(({ number }) => number), owner],
    ],
  )
  if (capacity !== null) {
    await shop.sql(
      `INSERT INTO tiers (id, account_id, event_id, position, name, price_minor, capacity)
       VALUES ($1, $4, $2, 1, 'Standing', 2000, $3)`,
      [tierId, eventId, capacity, owner],
    )
  }
  return { eventId, sectionId, seatIds: seats.map(({ id }) => id), tierId }
}

/** A hold as `holdSeats` makes it, straight into the database: for tests of later operations. */
export async function insertHold(
  shop: Shop,
  event: SoldEvent,
  of: { readonly seatIds: readonly string[] } | { readonly places: number },
  { forCustomer = customerId, lastsMs = 600_000 }: { readonly forCustomer?: string; readonly lastsMs?: number } = {},
): Promise<string> {
  const id = newId()
  const quantity = 'places' in of ? of.places : of.seatIds.length
  const lasts = `now() + make_interval(secs => ${lastsMs / 1_000})`
  const isOfPlaces = 'places' in of
  await shop.sql(
    `INSERT INTO holds (id, account_id, event_id, customer_id, seat_ids, tier_id, quantity, amount_minor, currency,
                        expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'EUR', ${lasts})`,
    [
      ...[id, accountId, event.eventId, forCustomer],
      ...[isOfPlaces ? null : of.seatIds, isOfPlaces ? event.tierId : null],
      ...[quantity, quantity * (isOfPlaces ? 2_000 : 5_000)],
    ],
  )
  if (isOfPlaces) await shop.sql('UPDATE tiers SET held = held + $2 WHERE id = $1', [event.tierId, quantity])
  else
    await shop.sql(
      `INSERT INTO seat_claims (seat_id, account_id, section_id, hold_id, expires_at)
       SELECT seat, $4, $2, $3, ${lasts} FROM unnest($1::uuid[]) AS seat`,
      [of.seatIds, event.sectionId, id, accountId],
    )
  return id
}

/** The answers of production are HTTP and made elsewhere; these have only what tests read. */
const renderings: BookingRenderings = {
  eventCreated: (event) => ({ status: 201, body: JSON.stringify({ id: event.id }), location: null }),
  holdCreated: (hold) => ({ status: 201, body: JSON.stringify(hold), location: null }),
  holdChanged: (hold) => ({ status: 200, body: JSON.stringify(hold), location: null }),
  checkoutEnded: (outcome) => ({
    status: { booked: 201, 'not-paid': 402, 'seats-gone': 410, 'paid-without-seats': 409 }[outcome.kind],
    body: JSON.stringify(outcome),
    location: null,
  }),
  cancellationEnded: (outcome) => ({
    status: outcome.kind === 'cancelled' ? 200 : 402,
    body: JSON.stringify(outcome),
    location: null,
  }),
  bookingSeen: ({ id, state }) => ({ id, state }),
}

/** The booking in the answer of a checkout or a cancellation. */
export function bookingIn(result: Guarded<unknown>): Booking {
  return bodyOf<{ booking: Booking }>(result).booking
}

export function holdIn(result: Guarded<unknown>): Hold {
  return bodyOf<Hold>(result)
}

/** More rounds than any payment needs: after a 500, the third recovery repeats a capture under its next key. */
const mostRounds = 5

/** Ends leases and pauses, and recovers as a worker does, until nothing is open. */
export async function recoverEverything(office: BoxOffice, { replica: { deps } }: Window): Promise<void> {
  for (let round = 0; round < mostRounds; round += 1) {
    await letLeasesRunOut(office)
    await office.sql(
      `UPDATE refunds SET leased_until = CASE WHEN leased_until IS NOT NULL THEN now() - interval '1 second' END,
              next_attempt_at = now() - interval '1 second' WHERE state IN ('processing', 'needs_review')`,
    )
    while ((await recoverPayment(deps)) !== null || (await recoverRefund(deps)) !== null);
    const open = await office.sql(
      `SELECT FROM payments WHERE state IN ('processing', 'capturing', 'voiding')
       UNION ALL SELECT FROM refunds WHERE state = 'processing'`,
    )
    if (open.length === 0) return
  }
  throw new Error('something stays open, however often it is recovered')
}
