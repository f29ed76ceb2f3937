import { Prisma, type Tx } from '@seatbelt/database'
import { type Currency, decideOnSale, inProgressRetryAfterSeconds, type Refusal } from '@seatbelt/domain'
import { toCurrency } from '@seatbelt/payments'
import type { Call, MeetingPoint, Refused } from '@seatbelt/safety'

/** Who wants something of an event. */
export interface Customer {
  readonly accountId: string
  readonly eventId: string
  readonly customerId: string
}

/** An event that is on sale, as far as a hold needs to know it. */
export interface Sale<Wanted> {
  readonly kind: 'on-sale'
  readonly currency: Currency
  /** By this customer, at this moment. */
  readonly heldSeats: number
  readonly seatsPerCustomer: number
  readonly wanted: Wanted
}

/**
 * Where those meet who hold for one customer at one event, so that what the customer holds is counted by one at a time. About
 * the seats it says nothing: their claims decide.
 */
export function atCustomer(
  { accountId }: Call,
  { eventId, customerId }: { readonly eventId: string; readonly customerId: string },
): MeetingPoint {
  return {
    resource: `customer:${accountId}:${eventId}:${customerId}`,
    contended: { code: 'hold-in-progress', customerId, retryAfterSeconds: inProgressRetryAfterSeconds },
  }
}

/**
 * Reads in one statement, under the customer's lock, all that a hold is decided by. `wanted`: a scalar of JSON, which may speak of
 * the `event`.
 */
export async function readSale<Wanted>(
  tx: Tx,
  { accountId, eventId, customerId }: Customer,
  wanted: Prisma.Sql,
): Promise<Refused | Sale<Wanted>> {
  const [event] = await tx.$queryRaw<EventRow<Wanted>[]>`
    SELECT event.id, event.currency, event.sale_opens_at AS "saleOpensAt", event.sale_closes_at AS "saleClosesAt",
           event.seats_per_customer AS "seatsPerCustomer", clock_timestamp() AS now, ${heldSeats(customerId)} AS "heldSeats",
           ${wanted} AS wanted
      FROM events AS event WHERE event.id = ${eventId}::uuid AND event.account_id = ${accountId}::uuid`
  if (!event) return refuse({ code: 'event-not-found', eventId })
  const decision = decideOnSale(event, event.now)
  if (decision.code !== 'on-sale') return refuse(decision)
  const { currency, ...sale } = event
  return { kind: 'on-sale', ...sale, currency: toCurrency(currency) }
}

/** What lapsed counts no more, whether or not somebody wrote that down. */
function heldSeats(customerId: string): Prisma.Sql {
  return Prisma.sql`
    (SELECT coalesce(sum(quantity), 0)::int FROM holds
      WHERE event_id = event.id AND customer_id = ${customerId} AND state IN ('active', 'checking_out')
        AND (state = 'checking_out' OR expires_at > clock_timestamp()))`
}

interface EventRow<Wanted> extends Omit<Sale<Wanted>, 'kind' | 'currency'> {
  readonly id: string
  readonly currency: string
  readonly saleOpensAt: Date
  readonly saleClosesAt: Date
  readonly now: Date
}

/** Would these be too many for one customer? */
export function overLimit(
  { heldSeats, seatsPerCustomer: mostSeats }: Pick<Sale<unknown>, 'heldSeats' | 'seatsPerCustomer'>,
  { customerId, quantity }: { readonly customerId: string; readonly quantity: number },
): Refusal | null {
  if (heldSeats + quantity <= mostSeats) return null
  return { code: 'customer-holds-too-many', customerId, heldSeats, mostSeats }
}

export function refuse(refusal: Refusal): Refused {
  return { kind: 'refused', refusal }
}
