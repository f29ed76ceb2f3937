import type { ChargeSeen } from '@seatbelt/domain'
import type { GatewayIntent, GatewayRefund } from '@seatbelt/safety'
import { askPatiently, GatewayUnreadable, isAbsent } from './ask-patiently.ts'
import type { FoundCharge } from './books-of-charges.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/**
 * Reads one charge as it is now, by its intent, because a list may be older than its answer.
 *
 * Null: the gateway does not have the intent. `uncountable`: the charge has more refunds than a page of the gateway's
 * list, so the rest of its amount is not known.
 */
export async function askForCharge(
  deps: Pick<ReconcileDeps, 'gateway'>,
  intentId: string,
): Promise<FoundCharge | 'uncountable' | null> {
  const taken = await askForTaken(deps, intentId)
  if (taken === null) return null
  const refunds = await askPatiently(() => deps.gateway.listRefundsOf(intentId))
  if (refunds.kind !== 'list') throw new GatewayUnreadable(refunds)
  return refunds.hasMore ? 'uncountable' : { ...taken, refundedMinor: refundedMinor(refunds.items) }
}

/** As `askForCharge`, without its refunds. */
export async function askForTaken(
  { gateway }: Pick<ReconcileDeps, 'gateway'>,
  intentId: string,
): Promise<FoundCharge | null> {
  const answer = await askPatiently(() => gateway.retrieveIntent(intentId))
  if (isAbsent(answer)) return null
  if (answer.kind !== 'intent') throw new GatewayUnreadable(answer)
  return { ...readCharge(answer.intent), intentId, metadata: answer.intent.metadata }
}

function readCharge({ chargeId, status, amountMinor, currency, receivedMinor }: GatewayIntent): ChargeSeen {
  const capturedMinor = status === 'succeeded' ? receivedMinor : 0
  return { id: chargeId ?? '', status: chargeStatuses[status], amountMinor, capturedMinor, refundedMinor: 0, currency }
}

/** Of the charge of an intent with this status. */
const chargeStatuses: Readonly<Record<GatewayIntent['status'], ChargeSeen['status']>> = {
  succeeded: 'succeeded',
  requires_capture: 'succeeded',
  processing: 'pending',
  canceled: 'failed',
  requires_payment_method: 'failed',
  requires_confirmation: 'failed',
  requires_action: 'failed',
}

/** Refunds under way count. */
function refundedMinor(refunds: readonly GatewayRefund[]): number {
  return refunds
    .filter(({ status }) => status !== 'failed' && status !== 'canceled')
    .reduce((sum, { amountMinor }) => sum + amountMinor, 0)
}
