import { empty, type Sql, sql, type Tx } from '@seatbelt/database'
import type { Call, Refusal } from '@seatbelt/domain'
import { readCreationReference } from '@seatbelt/payments'
import { type Guarded, guardTransaction } from '@seatbelt/safety'
import { customerLock, overLimit, readSale } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { Wanted } from '../shared/operations.ts'
import { refuse } from '../shared/refuse.ts'
import { claimSeats, createHold } from './create-hold.ts'
import { recentSeats, refuseRecent, type WaitingSeat, waitSeconds } from './recent-seats.ts'

type AdjacentSeats = Wanted<'adjacent'>

/** In a crowd, others want the best seats too. Each try looks farther around, so that few lose more than twice. */
const mostTries = 5
/** The first try takes the best run there is. Each next one chooses among so many times as many. */
const spread = 4

/**
 * Holds free seats side by side, the best of a section.
 *
 * A request whose chosen seats were taken meanwhile chooses anew. After the last try it is refused with `seats-taken`
 * and the seats that it chose last.
 */
export async function holdAdjacentSeats(deps: BookingDeps, call: Call, wanted: AdjacentSeats): Promise<Guarded<never>> {
  for (let failures = 0; ; failures += 1) {
    const result = await tryOnce(deps, call, wanted, spread ** failures)
    const isTaken = result.kind === 'refused' && result.refusal.code === 'seats-taken'
    if (!isTaken || failures + 1 === mostTries) return result
  }
}

function tryOnce(deps: BookingDeps, call: Call, wanted: AdjacentSeats, amongBest: number): Promise<Guarded<never>> {
  const { eventId, sectionId, quantity } = wanted
  const customer = { ...wanted, accountId: call.accountId }
  return guardTransaction(deps.payments.layers, call, {
    lockOn: customerLock(call, wanted),
    work: async (tx, rollBack) => {
      const [sale, gatewayReference, [section]] = await Promise.all([
        readSale(tx, customer),
        readCreationReference(deps.payments, tx, call, 'hold'),
        tx.read<{ priceMinor: number }>(sql`
          SELECT price_minor AS "priceMinor" FROM event_sections
           WHERE id = ${sectionId}::uuid AND event_id = ${eventId}::uuid`),
      ])
      if (sale.kind === 'refused') return sale
      if (!section) return refuse({ code: 'section-not-found', sectionId })
      const tooMany = overLimit(sale, wanted)
      if (tooMany) return refuse(tooMany)
      const random = deps.payments.runtime.random()
      const { pauseMs } = deps.policy
      const recent = pauseMs > 0 ? recentSeats(wanted, pauseMs) : null
      const [run] = await tx.read<Run>(chooseRun({ sectionId, quantity, amongBest, random, recent }))
      if (!run) return refuse(await whyNone(tx, wanted, recent, pauseMs))
      const amountMinor = quantity * section.priceMinor
      const hold = createHold(deps, tx, sale, { ...customer, seatIds: run.seatIds, amountMinor, gatewayReference })
      await claimSeats(tx, rollBack, hold, run)
      return { kind: 'done', answer: deps.renderings.holdCreated(hold) }
    },
  })
}

/** No run is free; or one is, of seats that this customer let go a short time ago. */
async function whyNone(
  tx: Tx,
  { customerId, sectionId, quantity }: AdjacentSeats,
  recent: Sql | null,
  pauseMs: number,
): Promise<Refusal> {
  const none = { code: 'no-adjacent-seats', sectionId, quantity } as const
  if (recent === null) return none
  const [run] = await tx.read<Run>(chooseRun({ sectionId, quantity, amongBest: 1, random: 0, recent: null }))
  if (!run) return none
  const seats = await tx.read<WaitingSeat>(sql`
    WITH recent AS MATERIALIZED (${recent})
    SELECT id, ${waitSeconds(sql`id`, pauseMs)} AS "waitSeconds" FROM unnest(${run.seatIds}::uuid[]) AS seat (id)`)
  return refuseRecent(customerId, seats) ?? none
}

export interface RunWanted {
  readonly sectionId: string
  readonly quantity: number
  /** One of so many, which `random` chooses: at least 0 and less than 1. */
  readonly amongBest: number
  readonly random: number
  /** Seats that this customer cannot hold now. Null: none. */
  readonly recent: Sql | null
}

export interface Run {
  readonly seatIds: string[]
  readonly someLapsed: boolean
}

/**
 * A run of free seats whose numbers follow each other in one row: the front row first, then the nearest to the row's
 * middle. Seats for wheelchairs are only held by a customer who names them.
 *
 * It is a proposal: the claims decide whether the seats are free. So it reads the statement's time and not the clock's,
 * which would be read for every seat.
 */
export function chooseRun({ sectionId, quantity, amongBest, random, recent }: RunWanted): Sql {
  return sql`
    WITH ${recent === null ? empty : sql`recent AS MATERIALIZED (${recent}),`} claim AS MATERIALIZED (
      SELECT seat_id, pinned OR expires_at > statement_timestamp() AS live
        FROM seat_claims WHERE section_id = ${sectionId}::uuid),
    free AS (
      SELECT row_position, number,
             lead(number, ${quantity - 1}) OVER (PARTITION BY row_position ORDER BY number) AS last
        FROM seats
       WHERE section_id = ${sectionId}::uuid AND NOT accessible
         AND NOT EXISTS (SELECT FROM claim WHERE claim.seat_id = seats.id AND live)
         ${recent === null ? empty : sql`AND NOT EXISTS (SELECT FROM recent WHERE recent.seat_id = seats.id)`}),
    middles AS (
      SELECT row_position, min(number) + max(number) AS twice_middle FROM seats
       WHERE section_id = ${sectionId}::uuid GROUP BY row_position),
    best AS (
      SELECT row_position, number AS first, last FROM free JOIN middles USING (row_position)
       WHERE last = number + ${quantity - 1}
       ORDER BY row_position, abs(number + last - twice_middle), number LIMIT ${amongBest}),
    chosen AS (
      SELECT * FROM best ORDER BY row_position, first
      OFFSET floor(${random}::float8 * (SELECT count(*) FROM best)) LIMIT 1)
    SELECT array_agg(seat.id) AS "seatIds", bool_or(claim.seat_id IS NOT NULL) AS "someLapsed"
      FROM chosen
      JOIN seats AS seat ON seat.section_id = ${sectionId}::uuid AND seat.row_position = chosen.row_position
                        AND seat.number BETWEEN first AND last
      LEFT JOIN claim ON claim.seat_id = seat.id
    HAVING count(*) > 0`
}
