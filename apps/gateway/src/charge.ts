import assert from 'node:assert/strict'
import type { CardError, EntryDraft } from './facts.ts'

/** One try to get an intent's money, whether it got it or not. */
export interface Charge {
  readonly id: string
  readonly intentId: string
  readonly createdAt: string
  readonly amountMinor: number
  /** Upper case. */
  readonly currency: string
  /** The intent's, as it was when the charge was made. */
  readonly metadata: Readonly<Record<string, string>>
  readonly customerId: string | null
  readonly paymentMethod: string | null
  /** 0 while it is only authorized. */
  readonly capturedMinor: number
  /** The authorization ended without a capture. */
  readonly isReleased: boolean
  /** What refunds have taken of it, pending ones included, failed ones not. */
  readonly refundedMinor: number
  /** It is, or was, disputed. */
  readonly disputed: boolean
  /** Why the bank declined it. */
  readonly error: CardError | null
}

/** The charge after a fact that names it. */
export function chargeAfter(charge: Charge | undefined, fact: EntryDraft): Charge {
  switch (fact.type) {
    case 'charge.authorized':
      return chargeMade(charge, fact, 0)
    case 'charge.declined':
      return chargeMade(charge, fact, 0)
    case 'charge.captured':
      if (!charge) return chargeMade(charge, fact, fact.amountMinor)
      assert(canBeCaptured(charge), `${charge.id} was captured twice`)
      return { ...charge, capturedMinor: fact.amountMinor }
    case 'charge.released':
      assert(charge && canBeCaptured(charge), `${fact.chargeId} has nothing to release`)
      return { ...charge, isReleased: true }
    case 'refund.created':
      assert(charge && refundableMinor(charge) >= fact.amountMinor, `${fact.chargeId} was refunded beyond its amount`)
      return { ...charge, refundedMinor: charge.refundedMinor + fact.amountMinor }
    case 'refund.failed':
      assert(charge && charge.refundedMinor >= fact.amountMinor, `${fact.chargeId} was not refunded`)
      return { ...charge, refundedMinor: charge.refundedMinor - fact.amountMinor }
    case 'dispute.created':
      assert(charge && charge.capturedMinor > 0, `${fact.chargeId} took nothing that could be disputed`)
      return { ...charge, disputed: true }
    case 'dispute.updated':
    case 'dispute.closed':
    case 'dispute.funds_withdrawn':
    case 'dispute.funds_reinstated':
    case 'refund.succeeded':
    case 'intent.created':
    case 'intent.canceled':
      assert(charge, `${fact.type} names the unknown ${fact.chargeId}`)
      return charge
    default:
      return fact.type satisfies never
  }
}

function chargeMade(charge: Charge | undefined, fact: EntryDraft, capturedMinor: number): Charge {
  assert(!charge, `${fact.chargeId} was made twice`)
  assert(fact.chargeId !== null, `${fact.type} without a charge`)
  return {
    id: fact.chargeId,
    intentId: fact.intentId,
    createdAt: fact.at,
    amountMinor: fact.amountMinor,
    currency: fact.currency,
    metadata: fact.metadata,
    customerId: fact.customerId,
    paymentMethod: fact.paymentMethod,
    capturedMinor,
    isReleased: false,
    refundedMinor: 0,
    disputed: false,
    error: fact.error,
  }
}

function canBeCaptured(charge: Charge): boolean {
  return charge.error === null && charge.capturedMinor === 0 && !charge.isReleased
}

export function refundableMinor(charge: Charge): number {
  return charge.capturedMinor - charge.refundedMinor
}
