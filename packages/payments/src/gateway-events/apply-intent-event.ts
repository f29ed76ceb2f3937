import type { Payment as PaymentRow, Tx } from '@seatbelt/database'
import type { OrderPurpose, PaymentOutcome } from '@seatbelt/domain'
import { type GatewayIntent, type PaymentAttempt, readFinalEvidence } from '@seatbelt/safety'
import { claimCaptureOrVoid } from '../payment/claim-next-step.ts'
import { toAttempt } from '../payment/owned-payment.ts'
import { settlePayment } from '../payment/settle-payment.ts'
import { depose, leasedPayments } from '../shared/leased-work.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment } from '../shared/rows.ts'
import { eventLog, type GatewayEvent, noOwner, type Verdict } from './gateway-event.ts'

export type PaymentOfEvent = PaymentRow & { readonly purpose: OrderPurpose }

/**
 * An event proves only that the payment's intent took all of the amount, or can take nothing any more. Neither ever
 * changes again at the gateway, so the time of arrival does not matter.
 */
export function judgeIntentEvent(row: PaymentOfEvent, event: GatewayEvent): Verdict {
  const shown = finalIntentIn(event)
  if (shown === null) return { kind: 'hint' }
  const evidence = evidenceFor(row, shown)
  if (evidence === null) {
    const isOfAnotherIntent = shown.status === 'succeeded' && shown.id !== row.gatewayIntentId
    return isOfAnotherIntent
      ? contradicts(`payment ${row.id}: ${shown.id}, which it never confirmed, took money`)
      : { kind: 'hint' }
  }
  if (row.settledAt === null)
    return { kind: 'evidence', settle: (deps, tx) => settleByEvent(deps, tx, row, evidence, event) }
  const isSo = (evidence.outcome.state === 'succeeded') === (row.state === 'succeeded')
  return isSo ? { kind: 'agrees' } : contradicts(`payment ${row.id} is ${row.state}, and its intent is ${shown.status}`)
}

/**
 * Settles a payment by an event that proves what became of it, under its order's lock: takes it from its owner, then
 * does what that owner would have done. An owner that comes later loses by the generation, and returns what is
 * recorded.
 */
async function settleByEvent(
  deps: PaymentDeps,
  tx: Tx,
  row: PaymentOfEvent,
  { attempt, outcome }: IntentEvidence,
  event: GatewayEvent,
): Promise<void> {
  const goal = attempt.goal === 'capture' ? 'capture' : 'void'
  const generation =
    row.state === 'authorized'
      ? claimCaptureOrVoid(deps, tx, { row, goal, owner: null }).generation
      : depose(tx, leasedPayments, row)
  const { purpose } = row
  const owned = {
    payment: toPayment(row),
    purpose,
    attempt: { ...attempt, generation },
    attempts: 0,
    isOverdue: false,
  }
  const evidence = { kind: 'outcome', outcome, fenced: true, requestLog: eventLog(deps, event) } as const
  await settlePayment(deps, tx, owned, { evidence, nextLease: null })
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
  readonly attempt: PaymentAttempt
  readonly outcome: PaymentOutcome
}

/** By the same reading as of an answer. Null: it is not the stored intent, or took another amount. */
function evidenceFor(row: PaymentRow, shown: GatewayIntent): IntentEvidence | null {
  const stored = toAttempt(row, { ...noOwner, wanted: true })
  // The authorization was ended at the gateway: then that is what it came to.
  const goal = shown.status === 'succeeded' ? ('capture' as const) : ('void' as const)
  const attempt: PaymentAttempt = row.state === 'authorized' ? { ...stored, goal } : stored
  const evidence = readFinalEvidence(shown, attempt)
  return evidence?.kind === 'outcome' ? { attempt, outcome: evidence.outcome } : null
}

function contradicts(why: string): Verdict {
  return { kind: 'contradicts', why }
}
