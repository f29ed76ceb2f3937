import { Prisma } from '@seatbelt/database'
import { guardSettle, orderLockName } from '@seatbelt/safety'
import { freeHold, seatNews } from '../hold/free-hold.ts'
import { lockHoldOfOrder } from '../hold/hold-rows.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'

/** A checkout whose payment nobody wants any more, and nobody is at work on. */
interface Overdue {
  readonly accountId: string
  readonly orderId: string
}

/**
 * Frees the seats of one checkout that the gateway has not told the outcome of for as long as a hold lasts. False: there is none,
 * or it has just been told.
 *
 * Otherwise a gateway that is silent for an hour would keep every seat whose card was just being checked from being sold for that
 * hour. Nothing is guessed about the money: only a payment that is still to be authorized is looked at, which takes nothing before
 * its capture is claimed, and that is claimed in the commit that books. Recovery goes on and cancels it; if it was authorized
 * after all, its seats are gone, and what is on hold is given back.
 */
export async function endOverdueCheckout(deps: Pick<BookingDeps, 'payments' | 'layers' | 'tell'>): Promise<boolean> {
  const { payments, layers } = deps
  // By chance: one that cannot be ended must not keep the others from it.
  const [found] = await payments.database.statement(
    (client) => client.$queryRaw<Overdue[]>`
    SELECT payments.account_id AS "accountId", payments.order_id AS "orderId" ${overdue} ORDER BY random() LIMIT 1`,
  )
  if (!found) return false
  return guardSettle(layers, orderLockName(found), async (tx) => {
    const hold = await lockHoldOfOrder(tx, found)
    // Looked at again under the locks: its owner may have settled it, or recovery taken it over.
    const isStill = await tx.$queryRaw<unknown[]>`SELECT ${overdue} AND payments.order_id = ${found.orderId}::uuid`
    if (isStill.length === 0) return false
    await freeHold(seatNews(deps), tx, hold, 'expired')
    return true
  })
}

const overdue = Prisma.sql`
  FROM payments JOIN holds ON holds.order_id = payments.order_id
 WHERE holds.state = 'checking_out' AND payments.state IN ('processing', 'needs_review') AND payments.goal = 'authorize'
   AND payments.wanted_until < now() AND (payments.leased_until IS NULL OR payments.leased_until < now())`
