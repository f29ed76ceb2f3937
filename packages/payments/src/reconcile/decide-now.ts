import type { Tx } from '@seatbelt/database'
import { decideCharge, type RefundState, type RepairAction } from '@seatbelt/domain'
import { isContention, lostRace, underLock } from '@seatbelt/safety'
import { lockSubscriptionOf } from '../payment/adopt-intent.ts'
import { type BooksOfCharge, type FoundCharge, findBooksOfCharges, type Read } from './books-of-charges.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

export interface Outcome {
  readonly kind: 'done' | 'under-way' | 'gone' | 'left' | 'person'
  readonly detail?: string
}

/** A charge to repair, as the gateway has just shown it. */
export interface Repair {
  readonly findingId: string
  readonly accountId: string
  readonly orderId: string
  readonly intentId: string
  readonly charge: FoundCharge
  readonly resource: string
}

export const waiting = { kind: 'left', detail: 'somebody is still at work on the order' } as const satisfies Outcome

export interface DecidedNow {
  /** `none`: nothing differs any more. `wait`: too early to judge. */
  readonly action: RepairAction | 'none' | 'wait'
  /** The part of the customer's money that the repair is about. */
  readonly gatewayMinor: number
  readonly books: BooksOfCharge
}

/** Decides by our books as they are now. The decision holds as long as the order's lock is held. */
export async function decideNow({ judgedAfterMs }: ReconcileDeps, read: Read, { charge }: Repair): Promise<DecidedNow> {
  const [books] = await findBooksOfCharges(read, [charge], judgedAfterMs)
  if (!books) throw new Error(`the books were not asked about ${charge.id}`)
  const verdict = decideCharge(charge, books)
  if (verdict.kind === 'differs') {
    const { action, gatewayMinor } = verdict.difference
    return { action, gatewayMinor, books }
  }
  return { action: verdict.kind === 'agrees' ? 'none' : 'wait', gatewayMinor: 0, books }
}

/**
 * Decides again under the order's lock, and calls `act` in the same transaction if `expected` is still to be done. A
 * commit that loses a race changes nothing, and the next run decides anew.
 *
 * It also locks the subscription behind the order. A cancellation of the subscription does not take the order's lock,
 * and must not come between the decision and the writes.
 */
export async function decideUnderLock<T>(
  deps: ReconcileDeps,
  repair: Repair,
  expected: RepairAction,
  act: (tx: Tx) => Promise<T>,
): Promise<T | Outcome> {
  try {
    return await underLock(deps.payments.layers, repair.resource, async (tx) => {
      await tx.read(lockSubscriptionOf(repair.orderId))
      const { action } = await decideNow(deps, tx.read.bind(tx), repair)
      if (action === expected) return act(tx)
      return action === 'none' ? { kind: 'gone' } : waiting
    })
  } catch (fault) {
    if (isContention(fault) || lostRace(fault)) return waiting
    throw fault
  }
}

/** An earlier repair of this charge, by this run or another. A repair never begins a second time. */
export async function repairBefore({ payments }: ReconcileDeps, gatewayChargeId: string): Promise<Outcome | null> {
  const row = await payments.database.statement((client) =>
    client.refund.findFirst({ where: { gatewayChargeId, origin: 'reconciliation' }, select: { state: true } }),
  )
  return row && outcomeOf[row.state]
}

const underWay = { kind: 'under-way' } as const
const outcomeOf: Readonly<Record<RefundState, Outcome>> = {
  succeeded: { kind: 'done' },
  processing: underWay,
  pending: underWay,
  needs_review: { kind: 'person', detail: 'its repair is needs_review' },
  failed: { kind: 'person', detail: 'its repair is failed' },
}
