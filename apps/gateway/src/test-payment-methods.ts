import type { CardError } from './facts.ts'

/** What a card does when it is asked for money. */
export type CardBehaviour =
  | {
      readonly kind: 'pays'
      /** Manual capture: the bank authorizes, and has let the authorization go by the time it is captured. */
      readonly capture?: 'refused'
      /** What becomes of a refund to this card. Without it, it succeeds at once and for good. */
      readonly refund?: 'fails-later' | 'succeeds-later'
    }
  | {
      readonly kind: 'declines'
      readonly error: CardError
      /** Attaching to a customer asks the bank as well; most cards that decline are declined there already. */
      readonly canBeAttached?: true
    }
  /** 3-D Secure. Nobody can answer it here. */
  | { readonly kind: 'asks-for-authentication' }

const pays: CardBehaviour = { kind: 'pays' }
const asksForAuthentication: CardBehaviour = { kind: 'asks-for-authentication' }

type Decline = Extract<CardBehaviour, { kind: 'declines' }>

function declines(code: string, declineCode: string | null, message: string): Decline {
  return { kind: 'declines', error: { code, declineCode, message } }
}

const declined = 'Your card was declined.'

export const genericDecline = declines('card_declined', 'generic_decline', declined)

/**
 * Stripe's published test payment methods, under their published names and with their published codes.
 * Source: https://docs.stripe.com/testing (payment methods; declined payments; refunds; 3D Secure).
 */
export const testPaymentMethods: ReadonlyMap<string, CardBehaviour> = new Map<string, CardBehaviour>([
  ['pm_card_visa', pays],
  ['pm_card_visa_debit', pays],
  ['pm_card_mastercard', pays],
  ['pm_card_mastercard_debit', pays],
  ['pm_card_mastercard_prepaid', pays],
  ['pm_card_amex', pays],
  ['pm_card_discover', pays],
  ['pm_card_diners', pays],
  ['pm_card_jcb', pays],
  ['pm_card_unionpay', pays],

  ['pm_card_visa_chargeDeclined', genericDecline],
  [
    'pm_card_visa_chargeDeclinedInsufficientFunds',
    declines('card_declined', 'insufficient_funds', 'Your card has insufficient funds.'),
  ],
  ['pm_card_visa_chargeDeclinedLostCard', declines('card_declined', 'lost_card', declined)],
  ['pm_card_visa_chargeDeclinedStolenCard', declines('card_declined', 'stolen_card', declined)],
  [
    'pm_card_visa_chargeDeclinedVelocityLimitExceeded',
    declines(
      'card_declined',
      'card_velocity_exceeded',
      'Your card was declined for making repeated attempts too frequently or exceeding its amount limit.',
    ),
  ],
  ['pm_card_chargeDeclinedExpiredCard', declines('expired_card', null, 'Your card has expired.')],
  ['pm_card_chargeDeclinedIncorrectCvc', declines('incorrect_cvc', null, "Your card's security code is incorrect.")],
  [
    'pm_card_chargeDeclinedProcessingError',
    declines('processing_error', null, 'An error occurred while processing your card. Try again in a little bit.'),
  ],
  ['pm_card_chargeCustomerFail', { kind: 'declines', error: genericDecline.error, canBeAttached: true }],
  ['pm_card_radarBlock', declines('card_declined', 'fraudulent', declined)],

  ['pm_card_pendingRefund', { kind: 'pays', refund: 'succeeds-later' }],
  ['pm_card_refundFail', { kind: 'pays', refund: 'fails-later' }],
  // Ours. Stripe has no card for it: there one waits for the seven days after which an authorization expires.
  ['pm_card_seatbelt_captureFails', { kind: 'pays', capture: 'refused' }],

  ['pm_card_authenticationRequired', asksForAuthentication],
  ['pm_card_authenticationRequiredOnSetup', asksForAuthentication],
  ['pm_card_authenticationRequiredChargeDeclinedInsufficientFunds', asksForAuthentication],
  ['pm_card_threeDSecure2Required', asksForAuthentication],
])

/**
 * What becomes of a card that asks for authentication when the merchant said that nobody is there to answer.
 * Source: https://docs.stripe.com/payments/without-card-authentication
 */
export const authenticationNotHandled: CardError = {
  code: 'authentication_required',
  declineCode: 'authentication_not_handled',
  message: 'This payment required an authentication action to complete, but `error_on_requires_action` was set.',
}

/** The same where the customer is not there at all (`off_session`). Source: https://docs.stripe.com/declines/codes */
export const authenticationRequired: CardError = {
  code: 'authentication_required',
  declineCode: 'authentication_required',
  message: 'Your card was declined. This transaction requires authentication.',
}
