import type { ChargeSeen } from '@seatbelt/domain'
import type { GatewayIntent, GatewayRefund } from '@seatbelt/safety'
import { askPatiently, isAbsent, type Unanswered, unanswered } from './ask-patiently.ts'
import type { FoundCharge } from './books-of-charges.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/** A charge that was given back in more parts than a page of the gateway's list has: what is left of it is not known. */
export interface Uncountable {
  readonly kind: 'uncountable'
}

type Asked = FoundCharge | null | Unanswered

/**
 * Asks for one charge as it is now, by its intent: what a list shows may be older than its answer. Null: the gateway does not
 * have the intent.
 */
export async function askForCharge(
  deps: Pick<ReconcileDeps, 'gateway'>,
  intentId: string,
): Promise<Asked | Uncountable> {
  const taken = await askForTaken(deps, intentId)
  if (taken === null || isUnanswered(taken)) return taken
  const refunds = await askPatiently(() => deps.gateway.listRefundsOf(intentId))
  if (refunds.kind !== 'list') return unanswered(refunds)
  return refunds.hasMore ? { kind: 'uncountable' } : { ...taken, refundedMinor: refundedMinor(refunds.items) }
}

/** The same where it does not matter what was given back. */
export async function askForTaken({ gateway }: Pick<ReconcileDeps, 'gateway'>, intentId: string): Promise<Asked> {
  const answer = await askPatiently(() => gateway.retrieveIntent(intentId))
  if (answer.kind !== 'intent') return isAbsent(answer) ? null : unanswered(answer)
  return { ...readCharge(answer.intent), intentId, metadata: answer.intent.metadata }
}

export function isUnanswered(asked: Asked | Uncountable): asked is Unanswered {
  return asked !== null && 'kind' in asked && asked.kind === 'unanswered'
}

export function isUncountable(asked: Asked | Uncountable): asked is Uncountable {
  return asked !== null && 'kind' in asked && asked.kind === 'uncountable'
}

function readCharge(intent: GatewayIntent): ChargeSeen {
  const { amountMinor, currency, receivedMinor } = intent
  const shown = { id: intent.chargeId ?? '', amountMinor, currency, refundedMinor: 0 }
  switch (intent.status) {
    case 'succeeded':
      return { ...shown, status: 'succeeded', capturedMinor: receivedMinor }
    case 'requires_capture':
      return { ...shown, status: 'succeeded', capturedMinor: 0 }
    case 'processing':
      return { ...shown, status: 'pending', capturedMinor: 0 }
    case 'canceled':
    case 'requires_payment_method':
    case 'requires_confirmation':
    case 'requires_action':
      return { ...shown, status: 'failed', capturedMinor: 0 }
    default:
      return intent.status satisfies never
  }
}

/** Those under way count as given. */
function refundedMinor(refunds: readonly GatewayRefund[]): number {
  return refunds
    .filter(({ status }) => status !== 'failed' && status !== 'canceled')
    .reduce((sum, { amountMinor }) => sum + amountMinor, 0)
}
