import type { ReconciliationFinding as FindingRow } from '@seatbelt/database'
import { guardSettle } from '@seatbelt/safety'
import { type EnteredFromElsewhere, enterRefundsFromElsewhere } from '../refund/enter-refunds-from-elsewhere.ts'
import { orderLockName } from '../shared/order-lock.ts'
import { askPatiently, GatewayUnreadable, isAbsent } from './ask-patiently.ts'
import { type Outcome, waiting } from './decide-now.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

/** Enters a refund that was made at the gateway without us, as its event would have done. It moves no money. */
export async function enterRefund({ payments, gateway }: ReconcileDeps, finding: FindingRow): Promise<Outcome> {
  const { accountId, orderId, paymentId, gatewayRefundId } = finding
  if (accountId === null || orderId === null || paymentId === null || gatewayRefundId === null)
    return { kind: 'person' }
  const answer = await askPatiently(() => gateway.retrieveRefund(gatewayRefundId))
  if (isAbsent(answer)) return { kind: 'gone' }
  if (answer.kind !== 'refund') throw new GatewayUnreadable(answer)
  const { refund } = answer
  const entered = await guardSettle(payments.layers, orderLockName({ accountId, orderId }), (tx) =>
    enterRefundsFromElsewhere(payments, tx, { paymentId, shown: [refund], requestLog: [] }),
  )
  return outcomes[entered]
}

const outcomes: Readonly<Record<EnteredFromElsewhere, Outcome>> = {
  entered: { kind: 'done' },
  known: { kind: 'gone' },
  'must-wait': waiting,
  contradicts: { kind: 'person', detail: 'our books have less left of the payment than this' },
}
