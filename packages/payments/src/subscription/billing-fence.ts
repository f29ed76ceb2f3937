import type { Database, Tx } from '@seatbelt/database'
import { admitFence, drawFence } from '@seatbelt/locks'

/** What one leader may do: as long as nobody leads after it, about what was due when the hour of its run began. */
export interface BillingTerm {
  readonly fence: bigint
  readonly dueBy: Date
}

/** What is led. In Redis and in `lock_fences`. */
export const billingResource = 'billing-run'

/** The next leader's number. From here on, nothing is written any more by those before it. */
export function drawBillingFence({ statement }: Pick<Database, 'statement'>): Promise<bigint> {
  return statement((client) =>
    drawFence((sql, parameters) => client.$queryRawUnsafe(sql, ...parameters), billingResource),
  )
}

/** In the transaction that writes, before it reads what it decides by. Throws `StaleFence`, which must leave the transaction. */
export function admitBillingFence(tx: Tx, fence: bigint): Promise<void> {
  return admitFence((sql, parameters) => tx.$queryRawUnsafe(sql, ...parameters), billingResource, fence)
}
