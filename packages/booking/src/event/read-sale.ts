import { type Sql, sql, type Tx } from '@seatbelt/database'
import {
  type Call,
  type Currency,
  decideOnSale,
  type Event,
  inProgressRetryAfterSeconds,
  type Refusal,
} from '@seatbelt/domain'
import { toCurrency } from '@seatbelt/payments'
import type { LockTarget, Refused } from '@seatbelt/safety'
import { refuse } from '../shared/refuse.ts'

/** A customer of an event. */
export interface Customer {
  readonly accountId: string
  readonly eventId: string
  readonly customerId: string
}

/** An event that is on sale, as far as a hold needs to know it. */
export interface Sale {
  readonly kind: 'on-sale'
  readonly currency: Currency
  /** By this customer, at this moment. */
  readonly heldSeats: number
  readonly seatsPerCustomer: number
  /** Booked by this customer, and not cancelled. Read only where the event has a limit. */
  readonly boughtSeats: number | null
  readonly seatsPerCustomerInAll: number | null
  /** The database's time. */
  readonly now: Date
}

/**
 * The lock of one customer at one event, so that what the customer holds is counted by one transaction at a time. It
 * says nothing about the seats: their claims decide.
 */
export function customerLock(
  { accountId }: Call,
  { eventId, customerId }: Pick<Customer, 'eventId' | 'customerId'>,
): LockTarget {
  return {
    resource: `customer:${accountId}:${eventId}:${customerId}`,
    contended: { code: 'hold-in-progress', customerId, retryAfterSeconds: inProgressRetryAfterSeconds },
  }
}

/** Under the customer's lock. Lapsed holds do not count, whether or not the sweeper has written that. */
export async function readSale(tx: Tx, { accountId, eventId, customerId }: Customer): Promise<Refused | Sale> {
  const [event] = await tx.read<EventRow>(sql`
    SELECT id, currency, sale_opens_at AS "saleOpensAt", sale_closes_at AS "saleClosesAt",
           seats_per_customer AS "seatsPerCustomer", clock_timestamp() AS now,
           (SELECT coalesce(sum(quantity), 0)::int FROM holds
             WHERE event_id = events.id AND customer_id = ${customerId} AND state IN ('active', 'checking_out')
               AND (state = 'checking_out' OR expires_at > clock_timestamp())) AS "heldSeats",
           seats_per_customer_in_all AS "seatsPerCustomerInAll",
           CASE WHEN seats_per_customer_in_all IS NOT NULL THEN
             (SELECT coalesce(sum(quantity), 0)::int FROM bookings JOIN holds ON holds.id = bookings.hold_id
               WHERE bookings.event_id = events.id AND bookings.customer_id = ${customerId}
                 AND bookings.state <> 'cancelled') END AS "boughtSeats"
      FROM events WHERE id = ${eventId}::uuid AND account_id = ${accountId}::uuid`)
  if (!event) return refuse({ code: 'event-not-found', eventId })
  const decision = decideOnSale(event, event.now)
  if (decision.code !== 'on-sale') return refuse(decision)
  return { kind: 'on-sale', ...event, currency: toCurrency(event.currency) }
}

/** When the event of a hold is on sale. */
export async function readSaleTimes(tx: Tx, eventIds: Sql): Promise<SaleTimes | undefined> {
  const [event] = await tx.read<SaleTimes>(sql`
    SELECT id, sale_opens_at AS "saleOpensAt", sale_closes_at AS "saleClosesAt" FROM events WHERE id IN (${eventIds})`)
  return event
}

type SaleTimes = Pick<Event, 'id' | 'saleOpensAt' | 'saleClosesAt'>

interface EventRow extends Omit<Sale, 'kind' | 'currency'> {
  readonly id: string
  readonly currency: string
  readonly saleOpensAt: Date
  readonly saleClosesAt: Date
}

/** Refuses what would be too much for one customer. */
export function overLimit(
  { heldSeats, seatsPerCustomer, boughtSeats, seatsPerCustomerInAll }: Sale,
  { customerId, quantity }: { readonly customerId: string; readonly quantity: number },
): Refusal | null {
  if (heldSeats + quantity > seatsPerCustomer)
    return { code: 'customer-holds-too-many', customerId, heldSeats, mostSeats: seatsPerCustomer }
  if (boughtSeats === null || seatsPerCustomerInAll === null) return null
  if (boughtSeats + heldSeats + quantity <= seatsPerCustomerInAll) return null
  return { code: 'customer-has-too-many', customerId, heldSeats, boughtSeats, mostSeats: seatsPerCustomerInAll }
}
