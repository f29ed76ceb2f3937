import { sql, type Tx } from '@seatbelt/database'
import type { RefundState } from '@seatbelt/domain'
import { type Gateway, guardSettle } from '@seatbelt/safety'
import { askPatiently } from '../reconcile/ask-patiently.ts'
import { type EnteredFromElsewhere, enterRefundsFromElsewhere } from '../refund/enter-refunds-from-elsewhere.ts'
import { orderLockName } from '../shared/order-lock.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'

export type RefundEntered =
  | { readonly kind: 'not-found' }
  /** Nothing was changed. */
  | { readonly kind: 'left'; readonly why: string }
  | { readonly kind: 'entered' }
  /** It was there, perhaps by a try of this command whose COMMIT was not answered. */
  | { readonly kind: 'in-our-books'; readonly state: RefundState }

/**
 * Enters a refund of the gateway because a person says that it is one: it looked like the release of a partial capture.
 *
 * Guarantees: as for every refund from elsewhere. It moves no money, and enters only what the gateway shows now.
 */
export async function enterRefundAsOperator(
  { payments, gateway }: { readonly payments: PaymentDeps; readonly gateway: Gateway },
  paymentId: string,
  gatewayRefundId: string,
): Promise<RefundEntered> {
  const { database, layers } = payments
  const [row] = await database.query<{ accountId: string; orderId: string; gatewayIntentId: string | null }>(sql`
    SELECT account_id, order_id, gateway_intent_id FROM payments WHERE id = ${paymentId}::uuid`)
  if (!row) return { kind: 'not-found' }
  const answer = await askPatiently(() => gateway.retrieveRefund(gatewayRefundId))
  if (answer.kind !== 'refund') return left('the gateway does not show it')
  if (answer.refund.intentId !== row.gatewayIntentId) return left('it is a refund of another payment')
  const found = { paymentId, shown: [answer.refund], requestLog: [], areRefunds: true } as const
  return guardSettle(layers, orderLockName(row), async (tx) => {
    const known = await readState(tx, gatewayRefundId)
    if (known) return { kind: 'in-our-books', state: known }
    const entered = await enterRefundsFromElsewhere(payments, tx, found)
    return entered === 'entered' ? { kind: 'entered' } : left(reasons[entered])
  })
}

async function readState(tx: Tx, gatewayRefundId: string): Promise<RefundState | undefined> {
  const [row] = await tx.read<{ state: RefundState }>(sql`
    SELECT state::text FROM refunds WHERE gateway_refund_id = ${gatewayRefundId}`)
  return row?.state
}

function left(why: string): RefundEntered {
  return { kind: 'left', why }
}

const reasons: Readonly<Record<Exclude<EnteredFromElsewhere, 'entered'>, string>> = {
  known: 'it was requested by us, or failed',
  'must-wait': 'its payment or another refund of it is still open: repeat the command later',
  contradicts: 'our books have less left of the payment than this',
}
