import type { Tx } from '@seatbelt/database'
import { decideToExtend } from '@seatbelt/domain'
import { type Call, type Guarded, guardTransaction } from '@seatbelt/safety'
import { refuse } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { OwnHold } from '../shared/operations.ts'
import { atHold } from './hold-lock.ts'
import { type LockedHold, lockHold } from './hold-rows.ts'

/**
 * Lets a hold begin anew, once.
 *
 * Guarantees: all of its seats or none. Where somebody has taken one over, which can happen in the moment in which it lapses, the
 * hold is over, and nothing is changed.
 */
export function extendHold(deps: BookingDeps, call: Call, { holdId, customerId }: OwnHold): Promise<Guarded<never>> {
  const { layers, policy, renderings } = deps
  return guardTransaction(layers, call, {
    ...atHold(call, holdId),
    work: async (tx, rollBack) => {
      const hold = await lockHold(tx, call.accountId, holdId)
      if (!hold) return refuse({ code: 'hold-not-found', holdId })
      const decision = decideToExtend(hold, customerId)
      if (decision.code !== 'extend') return refuse(decision)
      const extended = await extend(tx, hold, policy.holdMs)
      if (!extended) return rollBack(refuse({ code: 'hold-expired', holdId }))
      return { kind: 'done', answer: renderings.holdChanged({ ...hold, extended: true, ...extended }) }
    },
  })
}

/** The claims in the order of their seats, as all do who lock several. Null: not all of them are there. */
async function extend(tx: Tx, hold: LockedHold, holdMs: number): Promise<{ readonly expiresAt: Date } | null> {
  const [row] = await tx.$queryRaw<{ expiresAt: Date; claims: number }[]>`
    WITH extended AS (
      UPDATE holds SET extended = true,
             expires_at = greatest(expires_at, clock_timestamp() + make_interval(secs => ${holdMs} / 1000.0))
       WHERE id = ${hold.id}::uuid RETURNING id, expires_at),
    claims AS (
      UPDATE seat_claims SET expires_at = extended.expires_at FROM extended
       WHERE hold_id = extended.id AND seat_id = ANY (ARRAY(
         SELECT seat_id FROM seat_claims WHERE hold_id = ${hold.id}::uuid ORDER BY seat_id FOR UPDATE))
      RETURNING seat_id)
    SELECT expires_at AS "expiresAt", (SELECT count(*)::int FROM claims) AS claims FROM extended`
  return row && row.claims === hold.seatIds.length ? { expiresAt: row.expiresAt } : null
}
