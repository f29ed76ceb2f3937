import assert from 'node:assert/strict'
import type { AuthenticationAsked, CaptureMethod, CardError, EntryDraft } from './facts.ts'

export interface PaymentIntent {
  readonly id: string
  readonly createdAt: string
  readonly amountMinor: number
  /** Upper case. */
  readonly currency: string
  readonly metadata: Readonly<Record<string, string>>
  readonly customerId: string | null
  readonly captureMethod: CaptureMethod
  readonly status:
    | 'requires_payment_method'
    | 'requires_confirmation'
    | 'requires_action'
    | 'requires_capture'
    | 'succeeded'
    | 'canceled'
  readonly paymentMethod: string | null
  /** Of the latest try, whether it took the money or not: Stripe's `latest_charge`. */
  readonly chargeId: string | null
  readonly receivedMinor: number
  readonly lastError: CardError | null
  readonly canceledAt: string | null
  readonly cancellationReason: string | null
}

export type IntentFact = EntryDraft | AuthenticationAsked

/**
 * The intent after a fact: the one place where an intent changes, for requests and for the reading back of a ledger
 * alike.
 */
export function intentAfter(intent: PaymentIntent | undefined, fact: IntentFact): PaymentIntent {
  if (fact.type === 'intent.created') {
    assert(!intent, `${fact.intentId} was created twice`)
    return intentCreated(fact)
  }
  assert(intent, `${fact.type} of the unknown ${fact.intentId}`)
  const captureMethod = fact.captureMethod ?? intent.captureMethod
  switch (fact.type) {
    case 'charge.authorized':
      assertThat(isConfirmable(intent), intent, fact)
      return { ...intent, ...tried(fact), captureMethod, status: 'requires_capture' }
    case 'charge.captured':
      assertThat(isConfirmable(intent) || intent.status === 'requires_capture', intent, fact)
      return { ...intent, ...tried(fact), captureMethod, status: 'succeeded', receivedMinor: fact.amountMinor }
    case 'charge.declined':
      assertThat(isConfirmable(intent), intent, fact)
      return {
        ...intent,
        captureMethod,
        status: 'requires_payment_method',
        chargeId: fact.chargeId ?? intent.chargeId,
        paymentMethod: null,
        lastError: fact.error,
      }
    case 'intent.canceled':
      assertThat(isOpen(intent), intent, fact)
      return { ...intent, status: 'canceled', canceledAt: fact.at, cancellationReason: fact.cancellationReason }
    case 'intent.requires_action':
      assertThat(isConfirmable(intent), intent, fact)
      return {
        ...intent,
        captureMethod,
        status: 'requires_action',
        paymentMethod: fact.paymentMethod,
        lastError: null,
      }
    case 'charge.released':
      assertThat(intent.status === 'requires_capture', intent, fact)
      return intent
    case 'refund.created':
    case 'refund.succeeded':
    case 'refund.failed':
    case 'dispute.created':
    case 'dispute.updated':
    case 'dispute.closed':
    case 'dispute.funds_withdrawn':
    case 'dispute.funds_reinstated':
      assertThat(intent.status === 'succeeded', intent, fact)
      return intent
    default:
      return fact.type satisfies never
  }
}

function assertThat(isPossible: boolean, intent: PaymentIntent, fact: IntentFact): void {
  assert(isPossible, `${fact.type} of ${intent.id}, which is ${intent.status}`)
}

function tried({ chargeId, paymentMethod }: EntryDraft): Partial<PaymentIntent> {
  return { chargeId, paymentMethod, lastError: null }
}

function intentCreated(fact: EntryDraft): PaymentIntent {
  return {
    id: fact.intentId,
    createdAt: fact.at,
    amountMinor: fact.amountMinor,
    currency: fact.currency,
    metadata: fact.metadata,
    customerId: fact.customerId,
    captureMethod: fact.captureMethod ?? 'automatic',
    status: fact.paymentMethod === null ? 'requires_payment_method' : 'requires_confirmation',
    paymentMethod: fact.paymentMethod,
    chargeId: null,
    receivedMinor: 0,
    lastError: null,
    canceledAt: null,
    cancellationReason: null,
  }
}

/** While an intent is open its money can still move, and it can still be cancelled. */
export function isOpen(intent: PaymentIntent): boolean {
  return intent.status !== 'succeeded' && intent.status !== 'canceled'
}

/** An authorization is asked for once. After it there is only capture or cancel. */
export function isConfirmable(intent: PaymentIntent): boolean {
  return isOpen(intent) && intent.status !== 'requires_capture'
}
