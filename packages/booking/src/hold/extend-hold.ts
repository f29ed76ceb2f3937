import { sql } from '@seatbelt/database'
import { type Call, decideOnSale, decideToExtend } from '@seatbelt/domain'
import { type Guarded, guardTransaction } from '@seatbelt/safety'
import { readSaleTimes } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { OwnHold } from '../shared/operations.ts'
import { refuse } from '../shared/refuse.ts'
import { holdLock } from './hold-lock.ts'
import { holdOfAccount, lockHold } from './hold-queries.ts'
import { moveHold } from './move-hold.ts'

/**
 * Lets a hold begin anew, once, while its event is on sale. A live hold that is not extended may be checked out until
 * it expires, also after the sale.
 *
 * Guarantees: all of its seats or none. If another customer has taken one over, which can happen in the moment in which
 * the hold lapses, the hold has expired, and nothing is changed.
 */
export function extendHold(deps: BookingDeps, call: Call, { holdId, customerId }: OwnHold): Promise<Guarded<never>> {
  return guardTransaction(deps.payments.layers, call, {
    lockOn: holdLock(call, holdId),
    work: async (tx) => {
      const which = holdOfAccount(call.accountId, holdId)
      const [hold, event] = await Promise.all([
        lockHold(tx, which),
        readSaleTimes(tx, sql`SELECT event_id FROM holds WHERE ${which}`),
      ])
      if (!hold || !event) return refuse({ code: 'hold-not-found', holdId })
      const decision = decideToExtend(hold, customerId)
      if (decision.code !== 'extend') return refuse(decision)
      const sale = decideOnSale(event, hold.now)
      if (sale.code !== 'on-sale') return refuse(sale)
      if (!hold.isWhole) return refuse({ code: 'hold-expired', holdId })

      const expiresAt = new Date(Math.max(hold.expiresAt.getTime(), hold.now.getTime() + deps.policy.holdMs))
      moveHold(tx, hold, {
        hold: sql`extended = true, expires_at = ${expiresAt}::timestamptz`,
        claims: sql`expires_at = ${expiresAt}::timestamptz`,
      })
      return { kind: 'done', answer: deps.renderings.holdChanged({ ...hold, extended: true, expiresAt }) }
    },
  })
}
