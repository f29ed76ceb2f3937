import type { Decline, PaymentGoal, PaymentOutcome } from '@seatbelt/domain'
import type { GatewayAnswer, GatewayIntent, IntentParameters, NoAnswer } from './gateway.ts'
import type { IntentSeen } from './intent-transitions.ts'
import { readNoAnswer } from './no-answer.ts'
import type { Reading, UnknownConclusion } from './run-protocol.ts'

/** `fenced`: the intent can take no more money. */
export type Conclusion =
  | { readonly kind: 'outcome'; readonly outcome: PaymentOutcome; readonly fenced: boolean }
  | UnknownConclusion

export interface IntentReading extends Reading<Conclusion> {
  readonly seen: IntentSeen
  /** Why no money came, where the answer gives a reason. */
  readonly decline: Decline | null
  readonly intentId: string | null
}

/** The payment of an intent, with which each answer about the intent is compared. */
export interface PaymentOfIntent {
  /** The payment's name in its metadata, and the first part of its keys: `${gatewayKey}:create:1`. */
  readonly gatewayKey: string
  readonly goal: PaymentGoal
  /** This owner claimed the step, so that no request for it can have been sent before. */
  readonly isFirstOwner: boolean
  readonly gatewayIntentId: string | null
  readonly intentParameters: IntentParameters
  /** Noted by an earlier owner, which then did not learn whether the intent was cancelled. */
  readonly notedDecline: Decline | null
  /** Whether the money is still wanted. Otherwise the intent is cancelled. */
  readonly wanted: boolean
  /** The creation was claimed so short a time ago that the gateway still remembers its key. */
  readonly keyIsRemembered: boolean
}

const nothing = {
  detail: '',
  message: null,
  conclusion: null,
  reason: null,
  readable: true,
  decline: null,
  intentId: null,
}

/** The reading before the first request. Only an authorized payment has steps that begin with a stored intent. */
export function readClaim(payment: PaymentOfIntent): IntentReading {
  if (payment.gatewayIntentId !== null)
    return { ...nothing, seen: payment.isFirstOwner ? seenAuthorized(payment) : 'stored' }
  const conclusion = { ...withoutMoney(payment, null), fenced: false }
  if (!payment.keyIsRemembered) return { ...nothing, seen: 'forgotten', conclusion }
  return { ...nothing, seen: payment.wanted ? 'wanted' : 'unwanted' }
}

export function readIntentAnswer(answer: GatewayAnswer, request: string, payment: PaymentOfIntent): IntentReading {
  if (answer.kind === 'intent') return readIntent(answer.intent, payment)
  const reading = { ...nothing, ...readNoAnswer(answer) }
  if (answer.kind === 'unknown') {
    return { ...reading, seen: request === 'create' ? failedCreation(answer) : failedRequest(answer) }
  }
  if (answer.kind === 'rejected' && answer.status === 404 && request === 'look') {
    const reason = 'the gateway does not show the stored intent'
    return { ...reading, seen: 'missing', reason, conclusion: withoutMoney(payment, payment.notedDecline) }
  }
  const isFinal = answer.kind === 'declined' || (request === 'capture' && authorizationIsOver.has(answer.errorCode))
  const decline: Decline =
    answer.kind === 'declined'
      ? { declineCode: answer.declineCode, declinedBy: 'bank' }
      : {
          declineCode: answer.errorCode,
          declinedBy: answer.about === 'payment-method' ? 'payment-method' : 'gateway',
        }
  const conclusion = { ...withoutMoney(payment, decline), fenced: request !== 'create' }
  return { ...reading, seen: isFinal ? 'refused' : 'rejected', decline, conclusion }
}

type Unknown = Extract<NoAnswer, { kind: 'unknown' }>

function failedCreation({ reason, replayed }: Unknown): IntentSeen {
  if (reason === 'key-reused') return 'reused'
  return reason === 'server-error' && replayed ? 'repeated' : 'unclear'
}

function failedRequest({ reason }: Unknown): IntentSeen {
  return reason === 'server-error' || reason === 'key-reused' ? 'failed' : 'unclear'
}

/**
 * Codes by which the gateway says that it will never capture this authorization. Stripe: "Error codes".
 *
 * A card error (402) says the same, whatever its code: another try would only repeat it, and the merchant learns of it
 * while the goods can still be kept. Neither has to be the last word. The payment ends only when the gateway has
 * cancelled the intent, and a cancel that is refused because the capture succeeded is evidence of that.
 */
const authorizationIsOver = new Set(['charge_expired_for_capture', 'capture_charge_authorization_expired'])

/** Reads an intent that the gateway showed, asked or unasked. */
export function readIntent(intent: GatewayIntent, payment: PaymentOfIntent): IntentReading {
  const reading = { ...nothing, detail: intent.status, intentId: intent.id }
  const declined = (declineCode: string, declinedBy: Decline['declinedBy'] = 'bank'): IntentReading => {
    return { ...reading, seen: 'declined', decline: { declineCode, declinedBy } }
  }
  const unclear = (reason: string): IntentReading => ({ ...reading, seen: 'unclear', reason })
  const ended = (seen: IntentSeen, conclusion: Conclusion): IntentReading => ({ ...reading, seen, conclusion })
  if (!isIntentOf(payment, intent)) return unclear(notOurs)
  switch (intent.status) {
    case 'succeeded':
      // A part can be captured at the gateway's own console. Only a person can judge any other amount.
      if (intent.receivedMinor < 1 || intent.receivedMinor > intent.amountMinor)
        return unclear('the gateway took another amount')
      if (intent.chargeId === null) return unclear(notOurs)
      return ended('succeeded', fenced(succeededBy(intent.chargeId, intent.receivedMinor)))
    case 'requires_confirmation':
      return { ...reading, seen: seenUnasked(payment) }
    case 'requires_payment_method':
      if (intent.declineCode !== null) return declined(intent.declineCode)
      if (payment.intentParameters.cardWith === 'confirm') return { ...reading, seen: seenUnasked(payment) }
      // The intent was created with its card and has lost it, and no bank gave a reason.
      return declined('declined', 'gateway')
    case 'requires_action':
      return declined('authentication_required')
    case 'canceled':
      return ended('cancelled', withoutMoney(payment, payment.notedDecline))
    case 'requires_capture':
      return ended(seenAuthorized(payment), fenced({ state: 'authorized' }))
    case 'processing':
      return unclear('the gateway says processing')
    default:
      return intent.status satisfies never
  }
}

function succeededBy(gatewayChargeId: string, capturedMinor: number): PaymentOutcome {
  return { state: 'succeeded', gatewayChargeId, capturedMinor }
}

const notOurs = "the gateway showed an intent that is not this payment's"

function isIntentOf(
  { gatewayKey, intentParameters, gatewayIntentId }: PaymentOfIntent,
  intent: GatewayIntent,
): boolean {
  const { amountMinor, currency, metadata } = intentParameters
  const isNamed = intent.metadata.paymentId === gatewayKey && metadata.paymentId === gatewayKey
  const isStored = gatewayIntentId === null || intent.id === gatewayIntentId
  return isNamed && isStored && intent.amountMinor === amountMinor && intent.currency === currency
}

function seenUnasked({ goal, wanted }: PaymentOfIntent): IntentSeen {
  return wanted && (goal === 'charge' || goal === 'authorize') ? 'confirmable' : 'cancellable'
}

/** A repetition after a lost commit may ask for a charge where the first had authorized: that is released. */
function seenAuthorized({ goal, wanted }: PaymentOfIntent): IntentSeen {
  if (goal === 'capture') return 'capturable'
  return goal === 'authorize' && wanted ? 'authorized' : 'cancellable'
}

/** What was authorized is voided; what was declined stays declined. */
function withoutMoney({ goal }: PaymentOfIntent, decline: Decline | null) {
  if (goal === 'capture' || goal === 'void')
    return fenced({ state: 'voided', declineCode: decline?.declineCode ?? null })
  return fenced(decline ? { state: 'declined', ...decline } : { state: 'cancelled' })
}

function fenced(outcome: PaymentOutcome) {
  return { kind: 'outcome', outcome, fenced: true } as const
}
