import { Prisma } from '@seatbelt/database'
import type { Refusal } from '@seatbelt/domain'
import { type Call, type Guarded, guardTransaction } from '@seatbelt/safety'
import { atCustomer, overLimit, readSale, refuse, type Sale } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import { claimSeats } from './claim-seats.ts'
import { answerHeld } from './hold-created-answer.ts'

export interface ChosenSeats {
  readonly eventId: string
  readonly customerId: string
  readonly seatIds: readonly string[]
}

/** Holds the seats that the customer names. */
export function holdChosenSeats(deps: BookingDeps, call: Call, chosen: ChosenSeats): Promise<Guarded<never>> {
  const { layers, payments, policy } = deps
  const { eventId, customerId, seatIds } = chosen
  const { accountId } = call
  return guardTransaction(layers, call, {
    door: layers.seatHint.door(seatIds),
    ...atCustomer(call, chosen),
    work: async (tx, rollBack) => {
      const sale = await readSale<WantedSeat[]>(tx, { accountId, eventId, customerId }, wantedSeats(seatIds))
      if (sale.kind === 'refused') return sale
      const { wanted, currency } = sale
      const refusal = judge(sale, chosen)
      if (refusal) return refuse(refusal)
      const claimed = await claimSeats(tx, {
        ...{ id: payments.newId(), accountId, eventId, customerId, seatIds, currency },
        amountMinor: wanted.reduce((sum, { priceMinor }) => sum + priceMinor, 0),
        holdMs: policy.holdMs,
        someLapsed: wanted.some(({ claim }) => claim === 'lapsed'),
      })
      if (claimed.kind === 'taken') return rollBack(refuse({ code: 'seats-taken', seatIds: claimed.seatIds }))
      return answerHeld(deps, tx, claimed.hold)
    },
  })
}

interface WantedSeat {
  readonly id: string
  readonly isOfEvent: boolean
  readonly priceMinor: number
  readonly claim: 'live' | 'lapsed' | null
}

/** Those of this account: a stranger's seats are as unknown as seats that never were. */
function wantedSeats(seatIds: readonly string[]): Prisma.Sql {
  return Prisma.sql`
    (SELECT coalesce(json_agg(json_build_object(
              'id', seat.id, 'isOfEvent', seat.event_id = event.id, 'priceMinor', section.price_minor,
              'claim', CASE WHEN claim.pinned OR claim.expires_at > clock_timestamp() THEN 'live'
                            WHEN claim.seat_id IS NOT NULL THEN 'lapsed' END)), '[]')
       FROM seats AS seat
       JOIN events AS its_event ON its_event.id = seat.event_id AND its_event.account_id = event.account_id
       JOIN event_sections AS section ON section.id = seat.section_id
       LEFT JOIN seat_claims AS claim ON claim.seat_id = seat.id
      WHERE seat.id = ANY (${seatIds}::uuid[]))`
}

function judge(sale: Sale<readonly WantedSeat[]>, { customerId, seatIds }: ChosenSeats): Refusal | null {
  const seats = new Map(sale.wanted.map((seat) => [seat.id, seat]))
  const unknown = seatIds.filter((id) => !seats.has(id))
  if (unknown.length > 0) return { code: 'seats-not-found', seatIds: unknown }
  const elsewhere = seatIds.filter((id) => !seats.get(id)?.isOfEvent)
  if (elsewhere.length > 0) return { code: 'seats-of-another-event', seatIds: elsewhere }
  const tooMany = overLimit(sale, { customerId, quantity: seatIds.length })
  if (tooMany) return tooMany
  const taken = seatIds.filter((id) => seats.get(id)?.claim === 'live')
  return taken.length > 0 ? { code: 'seats-taken', seatIds: taken } : null
}
