import assert from 'node:assert/strict'
import type { AuthenticationAsked, CardError, LedgerEntry } from './facts.ts'

export interface PaymentIntent {
  readonly id: string
  readonly createdAt: string
  readonly amountMinor: number
  /** Upper case. */
  readonly currency: string
  readonly metadata: Readonly<Record<string, string>>
  readonly status: 'requires_payment_method' | 'requires_confirmation' | 'requires_action' | 'succeeded' | 'canceled'
  readonly paymentMethod: string | null
  /** Of the latest try, whether it took the money or not: Stripe's `latest_charge`. */
  readonly chargeId: string | null
  readonly lastError: CardError | null
  readonly canceledAt: string | null
  readonly cancellationReason: string | null
}

export type IntentFact = Omit<LedgerEntry, 'seq'> | AuthenticationAsked

/** The intent after a fact: the one place where an intent changes, for requests and for the reading back of a ledger alike. */
export function intentAfter(intent: PaymentIntent | undefined, fact: IntentFact): PaymentIntent {
  if (fact.type === 'intent.created') {
    assert(!intent, `${fact.intentId} was created twice`)
    return intentCreated(fact)
  }
  assert(intent, `${fact.type} of the unknown ${fact.intentId}`)
  assert(isOpen(intent), `${fact.type} of ${intent.id}, which is ${intent.status}`)
  switch (fact.type) {
    case 'charge.captured':
      return {
        ...intent,
        status: 'succeeded',
        chargeId: fact.chargeId,
        paymentMethod: fact.paymentMethod,
        lastError: null,
      }
    case 'charge.declined':
      return {
        ...intent,
        status: 'requires_payment_method',
        chargeId: fact.chargeId ?? intent.chargeId,
        paymentMethod: null,
        lastError: fact.error,
      }
    case 'intent.canceled':
      return { ...intent, status: 'canceled', canceledAt: fact.at, cancellationReason: fact.cancellationReason }
    case 'intent.requires_action':
      return { ...intent, status: 'requires_action', paymentMethod: fact.paymentMethod, lastError: null }
    case 'refund.created':
      throw new Error('Refunds are not simulated yet')
    default:
      return fact.type satisfies never
  }
}

function intentCreated(fact: Omit<LedgerEntry, 'seq'>): PaymentIntent {
  return {
    id: fact.intentId,
    createdAt: fact.at,
    amountMinor: fact.amountMinor,
    currency: fact.currency,
    metadata: fact.metadata,
    status: fact.paymentMethod === null ? 'requires_payment_method' : 'requires_confirmation',
    paymentMethod: fact.paymentMethod,
    chargeId: null,
    lastError: null,
    canceledAt: null,
    cancellationReason: null,
  }
}

/** While an intent is open its money can still move, and it can still be cancelled. */
export function isOpen(intent: PaymentIntent): boolean {
  return intent.status !== 'succeeded' && intent.status !== 'canceled'
}
