import type { ReconciliationFinding as FindingRow } from '@seatbelt/database'
import { guardSettle } from '@seatbelt/safety'
import { type EnteredDispute, enterDispute } from '../dispute/enter-dispute.ts'
import { orderLockName } from '../shared/order-lock.ts'
import { askPatiently, GatewayUnreadable, isAbsent } from './ask-patiently.ts'
import { type Outcome, waiting } from './decide-now.ts'
import { type ReconcileDeps, readSecond } from './reconcile-deps.ts'

/** Enters what the gateway shows of a dispute now, as its events would have done. It moves no money. */
export async function enterLostDispute({ payments, gateway }: ReconcileDeps, finding: FindingRow): Promise<Outcome> {
  const { accountId, orderId, paymentId, gatewayDisputeId } = finding
  if (accountId === null || orderId === null || paymentId === null || gatewayDisputeId === null)
    return { kind: 'person' }
  const seenAt = await readSecond(payments)
  const answer = await askPatiently(() => gateway.retrieveDispute(gatewayDisputeId))
  if (isAbsent(answer)) return { kind: 'gone' }
  if (answer.kind !== 'dispute') throw new GatewayUnreadable(answer)
  const { dispute: shown } = answer
  const entered = await guardSettle(payments.layers, orderLockName({ accountId, orderId }), (tx) =>
    enterDispute(payments, tx, { paymentId, shown, seenAt, requestLog: [] }),
  )
  return outcomes[entered]
}

const outcomes: Readonly<Record<EnteredDispute, Outcome>> = {
  entered: { kind: 'done' },
  known: { kind: 'gone' },
  'must-wait': waiting,
  contradicts: { kind: 'person', detail: 'our payment took nothing, or another currency' },
}
