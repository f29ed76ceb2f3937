import { type Payment as PaymentRow, TransactionConflict, type Tx } from '@seatbelt/database'
import { type Claimed, type ClaimedPayment, type GatewayIntent, readFinalEvidence } from '@seatbelt/safety'
import { toClaimedPayment } from '../payment/recover-payment.ts'
import { settlePayment } from '../payment/settle-payment.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toPayment } from '../shared/rows.ts'
import { eventTrail, type GatewayEvent, type Verdict } from './gateway-event.ts'

/**
 * What an event proves about a payment: only that its intent took all of the amount, or can take nothing any more. Neither
 * ever changes again at the gateway, so that it does not matter when the event comes.
 */
export function judgeIntentEvent(row: PaymentRow, event: GatewayEvent): Verdict {
  const shown = finalIntentIn(event)
  if (shown === null) return { kind: 'hint' }
  const evidence = evidenceFor(row, shown)
  if (evidence === null) {
    const isStranger = shown.status === 'succeeded' && shown.id !== row.gatewayIntentId
    return isStranger
      ? contradicts(`payment ${row.id}: ${shown.id}, which it never confirmed, took money`)
      : { kind: 'hint' }
  }
  if (row.settledAt === null) return { kind: 'evidence' }
  const isSo = (evidence.outcome.state === 'succeeded') === (row.state === 'succeeded')
  return isSo ? { kind: 'agrees' } : contradicts(`payment ${row.id} is ${row.state}, and its intent is ${shown.status}`)
}

/**
 * Settles a payment by an event that proves what became of it, under its order's lock: takes it from whoever has it, then
 * does what that owner would have done. An owner who comes later loses by the generation, and answers what is recorded.
 */
export async function applyIntentEvent(deps: PaymentDeps, tx: Tx, row: PaymentRow, event: GatewayEvent): Promise<void> {
  const shown = finalIntentIn(event)
  const evidence = shown && evidenceFor(row, shown)
  if (!evidence) throw new Error(`event ${event.id} proves nothing about payment ${row.id}`)
  const { claimed, outcome } = evidence
  const owned = await depose(deps, tx, row, claimed)
  // Recovery, which takes no lock, was faster. All of this is rolled back, and judged again by the row as it is then.
  if (!owned) throw new TransactionConflict(`payment ${row.id} changed hands while an event was applied`)
  await settlePayment(deps, tx, {
    payment: toPayment(row),
    claimed: { ...claimed, ...owned },
    evidence: { kind: 'outcome', outcome, fenced: true, trail: eventTrail(event) },
  })
}

function depose({ layers }: PaymentDeps, tx: Tx, row: PaymentRow, { goal }: ClaimedPayment): Promise<Claimed | null> {
  if (row.state !== 'authorized') return layers.compareAndSet.depose(tx, row)
  return layers.compareAndSet.endAuthorization(tx, row, { goal: goal === 'capture' ? goal : 'void', leaseMs: null })
}

const finalStatuses: Readonly<Record<string, GatewayIntent['status']>> = {
  'payment_intent.succeeded': 'succeeded',
  'payment_intent.canceled': 'canceled',
}

function finalIntentIn({ type, subject }: GatewayEvent): GatewayIntent | null {
  if (subject.kind !== 'intent' || subject.shown === null) return null
  return finalStatuses[type] === subject.shown.status ? subject.shown : null
}

/** By the same reading as of an answer. Null: it is not the stored intent, or took another amount. */
function evidenceFor(row: PaymentRow, shown: GatewayIntent) {
  const stored = toClaimedPayment(row, true)
  // Somebody ended at the gateway what was on hold: then that is what it came to.
  const goal = shown.status === 'succeeded' ? ('capture' as const) : ('void' as const)
  const claimed = row.state === 'authorized' ? { ...stored, goal } : stored
  const evidence = readFinalEvidence(shown, claimed)
  return evidence?.kind === 'outcome' ? { claimed, outcome: evidence.outcome } : null
}

function contradicts(why: string): Verdict {
  return { kind: 'contradicts', why }
}
