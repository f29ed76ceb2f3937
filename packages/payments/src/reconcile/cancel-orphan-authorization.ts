import { decideUnderLock, type Outcome, type Repair } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/**
 * Voids an authorization that no payment of ours will capture. Its intent is cancelled. That can be repeated, and the
 * gateway refuses it if the money was captured meanwhile; so it needs no row, and no authorization is ever refunded.
 *
 * No payment can come to own the intent between the decision and the cancel: a payment stores its intent before it
 * confirms it, and this intent is confirmed already.
 */
export async function cancelOrphanAuthorization(deps: ReconcileDeps, repair: Repair): Promise<Outcome> {
  const decided = await decideUnderLock(deps, repair, 'cancel-intent', async () => 'cancel' as const)
  if (decided !== 'cancel') return decided
  const answer = await deps.gateway.cancelIntent(repair.intentId, `${repair.findingId}:cancel:1`, repair.accountId)
  if (answer.kind === 'intent' && answer.intent.status === 'canceled') return { kind: 'done' }
  return { kind: 'left', detail: 'the gateway has not cancelled it yet' }
}
