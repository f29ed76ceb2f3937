import { type Gateway, type GatewayCharge, type GatewayPage, underLock } from '@seatbelt/safety'
import { askPatiently } from '../reconcile/ask-patiently.ts'
import { defaultPageSize } from '../reconcile/reconcile-deps.ts'
import { orderLockName } from '../shared/order-lock.ts'
import { keyKnownUntil, recordOrphan } from '../shared/orphan.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/**
 * How far a charge can be from the payment's claim. It is made while the money is wanted, which takes minutes. The
 * claim may itself repeat a lost one, but not by more than the day for which the gateway knows its key.
 */
const chargedWithinMs = 24 * 3_600_000
/** Two days of 50,000 charges each. They take minutes to read; with more, the payment is left as it is. */
const mostPages = 1_000

export interface PaymentWithoutIntent {
  readonly accountId: string
  readonly orderId: string
  /** At the gateway. */
  readonly name: string
  readonly createdAt: Date
}

/**
 * Why a payment without a stored intent may have been charged, or null. Its intent is found by no id, so all charges
 * around its claim are read for one that has its name. Such a charge becomes an orphan.
 */
export async function whyMayBeCharged(
  payments: PaymentDeps,
  gateway: Pick<Gateway, 'listCharges'>,
  payment: PaymentWithoutIntent,
): Promise<string | null> {
  const claimedMs = payment.createdAt.getTime()
  const [createdFrom, createdTo] = [new Date(claimedMs - chargedWithinMs), new Date(claimedMs + chargedWithinMs)]
  let after: string | null = null
  for (let page = 0; page < mostPages; page++) {
    const asked: GatewayPage = { createdFrom, createdTo, after, limit: defaultPageSize }
    const answer = await askPatiently(() => gateway.listCharges(asked))
    if (answer.kind !== 'list') return "no intent is stored, and the gateway's charges could not be read"
    const named = answer.items.find(
      ({ metadata, status }) => metadata.paymentId === payment.name && status !== 'failed',
    )
    if (named) return recordCharge(payments, payment, named)
    if (!answer.hasMore) return null
    after = answer.items.at(-1)?.id ?? null
  }
  return 'no intent is stored, and the gateway has too many charges of those days to read them'
}

async function recordCharge(
  payments: PaymentDeps,
  { accountId, orderId, name }: PaymentWithoutIntent,
  { id, intentId, metadata, amountMinor, currency, status, createdAt }: GatewayCharge,
): Promise<string> {
  const why = `the charge ${id} of ${intentId} names payment ${name}, which has no stored intent`
  const found = { kind: 'payment', accountId, orderId, gatewayKey: name, gatewayIntentId: intentId, why } as const
  await underLock(payments.layers, orderLockName({ accountId, orderId }), async (tx) =>
    recordOrphan(payments, tx, {
      ...found,
      orderReference: metadata.orderId ?? null,
      gatewayRefundId: null,
      amountMinor,
      currency,
      keyKnownUntil: keyKnownUntil(createdAt),
      seen: status,
    }),
  )
  return `${why}: npm run review -- orphans ID --adopt`
}
