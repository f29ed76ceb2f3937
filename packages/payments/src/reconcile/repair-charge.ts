import type { ReconciliationFinding as FindingRow } from '@seatbelt/database'
import { orderLockName } from '@seatbelt/safety'
import { adoptCharge } from './adopt-charge.ts'
import type { Unanswered } from './ask-patiently.ts'
import { releaseHold } from './cancel-orphan-authorization.ts'
import { decideNow, type Outcome, type Repair, repairBefore, waiting } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { refundSecondCharge } from './refund-second-charge.ts'
import { askForCharge, isUnanswered, isUncountable } from './seen-charge.ts'

/**
 * Puts right what a charge differs in, by what is true now: the gateway is asked again, and our books are read again under the
 * order's lock, where the same table decides as when it was found.
 *
 * Guarantees: nothing is done to an order that somebody is at work on, or that was settled only just now.
 */
export async function repairCharge(deps: ReconcileDeps, finding: FindingRow): Promise<Outcome | Unanswered> {
  const { accountId, orderId, gatewayIntentId: intentId, gatewayChargeId } = finding
  // Without an intent nothing can be looked at again, nor given back through it.
  if (accountId === null || orderId === null || intentId === null) return { kind: 'person' }
  const before = await repairBefore(deps, gatewayChargeId)
  if (before) return before

  const charge = await askForCharge(deps, intentId)
  if (isUnanswered(charge)) return charge
  if (isUncountable(charge)) return { kind: 'person', detail: 'it was given back in more parts than can be counted' }
  if (charge?.status === 'failed') return { kind: 'gone' }
  if (charge?.id !== gatewayChargeId) return { kind: 'person', detail: 'the gateway shows something else now' }

  const repair = { findingId: finding.id, accountId, orderId, intentId, charge }
  return repairAsNow(deps, { ...repair, resource: orderLockName({ accountId, orderId }) })
}

async function repairAsNow(deps: ReconcileDeps, repair: Repair): Promise<Outcome | Unanswered> {
  const { action } = await deps.payments.database.statement((client) => decideNow(deps, client, repair))
  switch (action) {
    case 'adopt':
      return adoptCharge(deps, repair)
    case 'refund':
      return refundSecondCharge(deps, repair)
    case 'cancel-intent':
      return releaseHold(deps, repair)
    case 'reverse-refund':
    case 'person':
      return { kind: 'person' }
    case 'none':
      return { kind: 'gone' }
    case 'wait':
      return waiting
    default:
      return action satisfies never
  }
}
