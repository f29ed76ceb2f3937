import type { ReconciliationFinding as FindingRow } from '@seatbelt/database'
import { orderLockName } from '../shared/order-lock.ts'
import { adoptCharge } from './adopt-charge.ts'
import { cancelOrphanAuthorization } from './cancel-orphan-authorization.ts'
import { type DecidedNow, decideNow, type Outcome, type Repair, repairBefore, waiting } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { refundSecondCharge } from './refund-second-charge.ts'
import { askForCharge } from './seen-charge.ts'

/**
 * Puts right what a charge differs in, by what is true now: the gateway is asked again, and our books are read again
 * under the order's lock, where the same table decides as when it was found.
 *
 * Guarantees: nothing is done to an order that somebody is at work on, or that was settled only just now.
 */
export async function repairCharge(deps: ReconcileDeps, finding: FindingRow): Promise<Outcome> {
  const { accountId, orderId, gatewayIntentId: intentId, gatewayChargeId } = finding
  // Without an intent nothing can be looked at again, nor given back through it.
  if (accountId === null || orderId === null || intentId === null) return { kind: 'person' }
  const before = gatewayChargeId && (await repairBefore(deps, gatewayChargeId))
  if (before) return before

  const charge = await askForCharge(deps, intentId)
  if (charge === 'uncountable') return { kind: 'person', detail: 'it was given back in more parts than can be counted' }
  if (charge?.status === 'failed') return { kind: 'gone' }
  if (charge?.id !== gatewayChargeId) return { kind: 'person', detail: 'the gateway shows something else now' }

  const resource = orderLockName({ accountId, orderId })
  const repair = { findingId: finding.id, accountId, orderId, intentId, charge, resource }
  const { action } = await decideNow(deps, deps.payments.database.query, repair)
  return repairs[action](deps, repair)
}

const person = async (): Promise<Outcome> => ({ kind: 'person' })

/** By what is true now. */
const repairs: Readonly<Record<DecidedNow['action'], (deps: ReconcileDeps, repair: Repair) => Promise<Outcome>>> = {
  adopt: adoptCharge,
  refund: refundSecondCharge,
  'cancel-intent': cancelOrphanAuthorization,
  'reverse-refund': person,
  'enter-refund': person,
  'enter-dispute': person,
  person,
  none: async () => ({ kind: 'gone' }),
  wait: async () => waiting,
}
