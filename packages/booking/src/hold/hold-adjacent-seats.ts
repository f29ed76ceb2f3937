import { Prisma, type Tx } from '@seatbelt/database'
import { type Call, type Guarded, guardTransaction } from '@seatbelt/safety'
import { atCustomer, overLimit, readSale, refuse } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import { claimSeats } from './claim-seats.ts'
import { answerHeld } from './hold-created-answer.ts'

export interface AdjacentSeats {
  readonly eventId: string
  readonly customerId: string
  readonly sectionId: string
  readonly quantity: number
}

/** In a crowd others are at the best seats too. Each try looks farther around, so that few lose more than twice. */
const mostTries = 5
/** The first try takes the best run there is. Each next one chooses among so many times as many. */
const spread = 4

/**
 * Holds free seats side by side: the best of a section, as long as few are at it. Whoever finds the chosen ones taken in the
 * meantime chooses anew, and hears `seats-taken` with the last ones where others were faster each time.
 */
export async function holdAdjacentSeats(deps: BookingDeps, call: Call, wanted: AdjacentSeats): Promise<Guarded<never>> {
  for (let failures = 0; ; failures += 1) {
    const result = await tryOnce(deps, call, wanted, spread ** failures)
    const isTaken = result.kind === 'refused' && result.refusal.code === 'seats-taken'
    if (!isTaken || failures + 1 === mostTries) return result
  }
}

function tryOnce(deps: BookingDeps, call: Call, asked: AdjacentSeats, amongBest: number): Promise<Guarded<never>> {
  const { layers, payments, policy } = deps
  const { eventId, customerId, sectionId, quantity } = asked
  const { accountId } = call
  return guardTransaction(layers, call, {
    ...atCustomer(call, asked),
    work: async (tx, rollBack) => {
      const sale = await readSale<number | null>(tx, { accountId, eventId, customerId }, priceOf(sectionId))
      if (sale.kind === 'refused') return sale
      const { wanted: priceMinor, currency } = sale
      if (priceMinor === null) return refuse({ code: 'section-not-found', sectionId })
      const tooMany = overLimit(sale, asked)
      if (tooMany) return refuse(tooMany)
      const run = await chooseRun(tx, { sectionId, quantity, amongBest })
      if (!run) return refuse({ code: 'no-adjacent-seats', sectionId, quantity })
      const claimed = await claimSeats(tx, {
        ...{ id: payments.newId(), accountId, eventId, customerId, currency, ...run },
        amountMinor: quantity * priceMinor,
        holdMs: policy.holdMs,
      })
      if (claimed.kind === 'taken') return rollBack(refuse({ code: 'seats-taken', seatIds: claimed.seatIds }))
      return answerHeld(deps, tx, claimed.hold)
    },
  })
}

function priceOf(sectionId: string): Prisma.Sql {
  return Prisma.sql`
    (SELECT to_json(price_minor) FROM event_sections AS section
      WHERE section.id = ${sectionId}::uuid AND section.event_id = event.id)`
}

export interface RunWanted {
  readonly sectionId: string
  readonly quantity: number
  /** One of so many, by chance. */
  readonly amongBest: number
}

export interface Run {
  readonly seatIds: string[]
  readonly someLapsed: boolean
}

/**
 * A run of free seats whose numbers follow each other in one row: the front row first, then the nearest to the row's middle. Seats
 * for wheelchairs are not given away to whoever did not ask for them.
 *
 * Only a choice: what it took for free is decided by the claims. Hence the statement's time and not the clock's, which would be
 * asked for every seat.
 */
export async function chooseRun(tx: Tx, { sectionId, quantity, amongBest }: RunWanted): Promise<Run | null> {
  const [run] = await tx.$queryRaw<Run[]>`
    WITH claim AS MATERIALIZED (
      SELECT seat_id, pinned OR expires_at > statement_timestamp() AS live FROM seat_claims WHERE section_id = ${sectionId}::uuid),
    free AS (
      SELECT row_position, number, lead(number, ${quantity - 1}) OVER (PARTITION BY row_position ORDER BY number) AS last
        FROM seats
       WHERE section_id = ${sectionId}::uuid AND NOT accessible
         AND NOT EXISTS (SELECT FROM claim WHERE claim.seat_id = seats.id AND live)),
    middles AS (
      SELECT row_position, min(number) + max(number) AS twice_middle FROM seats
       WHERE section_id = ${sectionId}::uuid GROUP BY row_position),
    best AS (
      SELECT row_position, number AS first, last FROM free JOIN middles USING (row_position)
       WHERE last = number + ${quantity - 1}
       ORDER BY row_position, abs(number + last - twice_middle), number LIMIT ${amongBest}),
    chosen AS (SELECT * FROM best ORDER BY random() LIMIT 1)
    SELECT array_agg(seat.id) AS "seatIds", bool_or(claim.seat_id IS NOT NULL) AS "someLapsed"
      FROM chosen JOIN seats AS seat
           ON seat.section_id = ${sectionId}::uuid AND seat.row_position = chosen.row_position AND seat.number BETWEEN first AND last
      LEFT JOIN claim ON claim.seat_id = seat.id
    HAVING count(*) > 0`
  return run ?? null
}
