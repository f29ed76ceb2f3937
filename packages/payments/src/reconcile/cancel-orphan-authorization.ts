import { isContention } from '@seatbelt/safety'
import { decideNow, type Outcome, type Repair, waiting } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/**
 * Lets go of an amount on hold that no payment of ours will capture. Its intent is cancelled, which can be said again and
 * again, and which the gateway refuses if it was captured meanwhile; so it needs no row, and nothing on hold is ever refunded.
 *
 * Nobody can come to own the intent between the decision and the cancel: a payment stores its intent before it is confirmed,
 * and this one is confirmed already.
 */
export async function releaseHold(deps: ReconcileDeps, repair: Repair): Promise<Outcome> {
  const decided = await decideUnderLock(deps, repair)
  if (decided) return decided
  const answer = await deps.gateway.cancelIntent(repair.intentId, `${repair.findingId}:cancel:1`)
  if (answer.kind === 'intent' && answer.intent.status === 'canceled') return { kind: 'done' }
  return { kind: 'left', detail: 'the gateway has not cancelled it yet' }
}

/** Null: it is to be let go of. */
async function decideUnderLock(deps: ReconcileDeps, repair: Repair): Promise<Outcome | null> {
  const { layers } = deps.payments
  try {
    return await layers.transaction((tx) =>
      layers.advisoryLock(tx, repair.resource, async () => {
        const { action } = await decideNow(deps, tx, repair)
        if (action === 'cancel-intent') return null
        return action === 'none' ? { kind: 'gone' } : waiting
      }),
    )
  } catch (fault) {
    if (isContention(fault)) return waiting
    throw fault
  }
}
