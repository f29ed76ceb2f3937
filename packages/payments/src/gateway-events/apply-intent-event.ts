import type { Payment as PaymentRow, Tx } from '@seatbelt/database'
import type { OrderPurpose } from '@seatbelt/domain'
import { type FinalOutcome, type GatewayIntent, type PaymentAttempt, readFinalEvidence } from '@seatbelt/safety'
import { toAttempt } from '../payment/owned-payment.ts'
import { settleUnowned } from '../payment/settle-payment.ts'
import { noOwner } from '../shared/leased-work.ts'
import { type FoundOrphan, keyKnownUntil } from '../shared/orphan.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { eventLog, type GatewayEvent, type Verdict } from './gateway-event.ts'

export type PaymentOfEvent = PaymentRow & { readonly purpose: OrderPurpose }

/**
 * An event proves only that the payment's intent took the amount or a part of it, or can take nothing any more.
 * Neither ever changes again at the gateway, so the time of arrival does not matter.
 */
export function judgeIntentEvent(row: PaymentOfEvent, event: GatewayEvent): Verdict {
  const shown = finalIntentIn(event)
  if (shown === null) return { kind: 'hint' }
  const evidence = evidenceFor(row, shown)
  if (evidence === null) {
    const isOfAnotherIntent = shown.status === 'succeeded' && shown.id !== row.gatewayIntentId
    return isOfAnotherIntent
      ? contradicts(row, shown, `${shown.id}, which it never confirmed, took money`)
      : { kind: 'hint' }
  }
  if (row.settledAt === null)
    return { kind: 'evidence', settle: (deps, tx) => settleByEvent(deps, tx, row, evidence, event) }
  const isSo = (evidence.outcome.state === 'succeeded') === (row.state === 'succeeded')
  return isSo ? { kind: 'agrees' } : contradicts(row, shown, `it is ${row.state}, and its intent is ${shown.status}`)
}

async function settleByEvent(
  deps: PaymentDeps,
  tx: Tx,
  row: PaymentOfEvent,
  { outcome, intentId }: IntentEvidence,
  event: GatewayEvent,
): Promise<void> {
  await settleUnowned(deps, tx, row, { outcome, intentId, requestLog: eventLog(deps, event) })
}

const finalStatuses: Readonly<Record<string, GatewayIntent['status']>> = {
  'payment_intent.succeeded': 'succeeded',
  'payment_intent.canceled': 'canceled',
}

function finalIntentIn({ type, subject }: GatewayEvent): GatewayIntent | null {
  if (subject.kind !== 'intent' || subject.shown === null) return null
  return finalStatuses[type] === subject.shown.status ? subject.shown : null
}

interface IntentEvidence {
  readonly outcome: FinalOutcome
  readonly intentId: string
}

/** By the same reading as of an answer. Null: it is not the stored intent, or took more than the amount. */
function evidenceFor(row: PaymentRow, shown: GatewayIntent): IntentEvidence | null {
  const stored = toAttempt(row, { ...noOwner, wanted: true, keyIsRemembered: true })
  // The authorization was ended at the gateway: then that is what it came to.
  const goal = shown.status === 'succeeded' ? ('capture' as const) : ('void' as const)
  const attempt: PaymentAttempt = row.state === 'authorized' ? { ...stored, goal } : stored
  const evidence = readFinalEvidence(shown, attempt)
  if (evidence?.kind !== 'outcome' || evidence.outcome.state === 'authorized') return null
  return { outcome: evidence.outcome, intentId: shown.id }
}

/** An intent that our books name is a difference between them and the gateway, not an orphan. */
function contradicts(row: PaymentOfEvent, shown: GatewayIntent, what: string): Verdict {
  const why = `payment ${row.id}: ${what}`
  const isOrphan = shown.status === 'succeeded' && shown.id !== row.gatewayIntentId
  return { kind: 'contradicts', why, orphan: isOrphan ? orphanOf(row, shown, why) : null }
}

function orphanOf(row: PaymentOfEvent, shown: GatewayIntent, why: string): FoundOrphan {
  return {
    kind: 'payment',
    accountId: row.accountId,
    orderId: row.orderId,
    orderReference: shown.metadata.orderId ?? null,
    gatewayKey: row.gatewayKey,
    gatewayIntentId: shown.id,
    gatewayRefundId: null,
    amountMinor: shown.receivedMinor,
    currency: shown.currency,
    keyKnownUntil: keyKnownUntil(shown.createdAt),
    seen: shown.status,
    why,
  }
}
