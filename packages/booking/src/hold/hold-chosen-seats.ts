import { empty, sql, type Tx } from '@seatbelt/database'
import type { Call, Refusal } from '@seatbelt/domain'
import { readCreationReference } from '@seatbelt/payments'
import { type Guarded, guardTransaction } from '@seatbelt/safety'
import { type Customer, customerLock, overLimit, readSale, type Sale } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { Wanted } from '../shared/operations.ts'
import { refuse } from '../shared/refuse.ts'
import { claimSeats, createHold } from './create-hold.ts'
import { recentSeats, refuseRecent, type WaitingSeat, waitSeconds } from './recent-seats.ts'

type ChosenSeats = Wanted<'seats'>

/** Holds the seats that the customer names. */
export function holdChosenSeats(deps: BookingDeps, call: Call, chosen: ChosenSeats): Promise<Guarded<never>> {
  const { seatIds } = chosen
  const customer = { ...chosen, accountId: call.accountId }
  return guardTransaction(deps.payments.layers, call, {
    preCheck: deps.seatPreCheck.preCheck(seatIds),
    lockOn: customerLock(call, chosen),
    work: async (tx, rollBack) => {
      const [sale, seats, gatewayReference] = await Promise.all([
        readSale(tx, customer),
        readSeats(tx, customer, deps.policy.pauseMs),
        readCreationReference(deps.payments, tx, call, 'hold'),
      ])
      if (sale.kind === 'refused') return sale
      const refusal = judge(sale, seats, chosen)
      if (refusal) return refuse(refusal)
      const amountMinor = seats.reduce((sum, { priceMinor }) => sum + priceMinor, 0)
      const hold = createHold(deps, tx, sale, { ...customer, quantity: seatIds.length, amountMinor, gatewayReference })
      await claimSeats(tx, rollBack, hold, { someLapsed: seats.some(({ claim }) => claim === 'lapsed') })
      return { kind: 'done', answer: deps.renderings.holdCreated(hold) }
    },
  })
}

interface WantedSeat extends WaitingSeat {
  readonly eventId: string
  readonly priceMinor: number
  readonly claim: 'live' | 'lapsed' | null
}

/** Of this account only: another account's seats are as unknown as seats that never were. */
function readSeats(
  tx: Tx,
  { accountId, eventId, customerId, seatIds }: ChosenSeats & Customer,
  pauseMs: number,
): Promise<WantedSeat[]> {
  const isPausing = pauseMs > 0
  return tx.read(sql`
    ${isPausing ? sql`WITH recent AS MATERIALIZED (${recentSeats({ eventId, customerId }, pauseMs)})` : empty}
    SELECT seats.id, seats.event_id AS "eventId", price_minor AS "priceMinor",
           CASE WHEN claim.pinned OR claim.expires_at > clock_timestamp() THEN 'live'
                WHEN claim.seat_id IS NOT NULL THEN 'lapsed' END AS claim,
           ${isPausing ? waitSeconds(sql`seats.id`, pauseMs) : sql`NULL::int`} AS "waitSeconds"
      FROM seats
      JOIN event_sections AS section ON section.id = seats.section_id
      LEFT JOIN seat_claims AS claim ON claim.seat_id = seats.id
     WHERE seats.id = ANY (${seatIds}::uuid[]) AND seats.account_id = ${accountId}::uuid`)
}

function judge(
  sale: Sale,
  found: readonly WantedSeat[],
  { eventId, customerId, seatIds }: ChosenSeats,
): Refusal | null {
  const seats = new Map(found.map((seat) => [seat.id, seat]))
  const unknown = seatIds.filter((id) => !seats.has(id))
  if (unknown.length > 0) return { code: 'seats-not-found', seatIds: unknown }
  const elsewhere = seatIds.filter((id) => seats.get(id)?.eventId !== eventId)
  if (elsewhere.length > 0) return { code: 'seats-of-another-event', seatIds: elsewhere }
  const tooMany = overLimit(sale, { customerId, quantity: seatIds.length })
  if (tooMany) return tooMany
  const taken = seatIds.filter((id) => seats.get(id)?.claim === 'live')
  if (taken.length > 0) return { code: 'seats-taken', seatIds: taken }
  return refuseRecent(customerId, found)
}
