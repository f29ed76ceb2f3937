import { z } from 'zod'
import type { Books } from '../books.ts'
import { type Charge, refundableMinor } from '../charge.ts'
import { allowsRefunds } from '../dispute.ts'
import type { ChangingEndpoint, Circumstances } from '../endpoint.ts'
import { draftEntry, type EntryDraft } from '../facts.ts'
import { newId } from '../new-id.ts'
import { behaviourOf } from '../payment-methods.ts'
import { refundAfter } from '../refund.ts'
import { amountInWords, refuseFraction } from '../wire/amount-refusal.ts'
import { type Answer, invalidRequest, noSuch } from '../wire/answer.ts'
import { unexpectedState } from '../wire/answer-with-intent.ts'
import { amountParameter, idParameter, metadataParameter } from '../wire/parameters.ts'
import { renderRefund } from '../wire/render-refund.ts'
import { existingIntent } from './existing-intent.ts'

const parameters = z
  .strictObject({
    amount: amountParameter.optional(),
    charge: idParameter.optional(),
    metadata: metadataParameter.optional(),
    payment_intent: idParameter.optional(),
    reason: z.enum(['duplicate', 'fraudulent', 'requested_by_customer']).optional(),
  })
  .refine((given) => (given.charge === undefined) !== (given.payment_intent === undefined), {
    error: 'One of the following params should be provided for this request: payment_intent or charge.',
    path: [],
  })

type Given = z.infer<typeof parameters>

/** `POST /v1/refunds`. Never gives back more than a charge has left. */
export const createRefund: ChangingEndpoint<Given> = {
  operation: 'refund',
  parameters,
  concerns(given, books) {
    const intentId = intentIdOf(given, books)
    const intent = intentId === null ? undefined : books.intents.find(intentId)
    if (!intent) return { ok: false, refusal: unknown(given) }
    const own = given.metadata ?? {}
    // Two refunds of one payment are two subjects; the same refund asked for again under another key is one.
    return { ok: true, metadata: { ...intent.metadata, ...own }, subject: `${intent.id} ${JSON.stringify(own)}` }
  },
  asksBank: (given, books) => chargeOf(given, books) !== undefined,

  execute(given, books, circumstances) {
    const charge = chargeOf(given, books)
    const refusal = charge
      ? (refuseDisputed(charge, books) ?? refuseAmount(given, charge))
      : refuseUncaptured(given, books)
    if (refusal) return { facts: [], answer: refusal }
    if (!charge) throw new Error('A refund without a charge was let through')
    const created = refundEntry(given, charge, books, circumstances)
    return { facts: [created], answer: { status: 200, body: renderRefund(refundAfter(undefined, created)) } }
  },
}

function intentIdOf(given: Given, books: Books): string | null {
  return given.payment_intent ?? books.charges.find(given.charge ?? '')?.intentId ?? null
}

function unknown({ payment_intent, charge = '' }: Given): Answer {
  return payment_intent === undefined
    ? noSuch('charge', charge, 'charge')
    : noSuch('payment_intent', payment_intent, 'payment_intent')
}

/** The charge that money can be given back from. */
function chargeOf(given: Given, books: Books): Charge | undefined {
  const chargeId = given.charge ?? books.intents.find(given.payment_intent ?? '')?.chargeId ?? ''
  const charge = books.charges.find(chargeId)
  return charge && charge.capturedMinor > 0 ? charge : undefined
}

function refuseUncaptured(given: Given, books: Books): Answer {
  const intent = existingIntent(books, intentIdOf(given, books) ?? '')
  return unexpectedState(intent, `This PaymentIntent (${intent.id}) does not have a successful charge to refund.`)
}

/** Source: https://docs.stripe.com/error-codes, `charge_disputed` */
function refuseDisputed(charge: Charge, books: Books): Answer | null {
  const all = { limit: 100, startingAfter: null, group: charge.id, createdFromMs: 0, createdToMs: Infinity }
  if (books.disputes.page(all).things.every(allowsRefunds)) return null
  const message = `Charge ${charge.id} has been charged back; cannot issue a refund.`
  return invalidRequest(message, { code: 'charge_disputed' })
}

function refuseAmount(given: Given, charge: Charge): Answer | null {
  const leftMinor = refundableMinor(charge)
  if (leftMinor === 0) {
    return invalidRequest(`Charge ${charge.id} has already been refunded.`, { code: 'charge_already_refunded' })
  }
  if (given.amount === undefined) return null
  if (given.amount <= leftMinor) {
    const refusal = refuseFraction(given.amount, charge.currency)
    return refusal && invalidRequest(refusal.message, { param: 'amount' })
  }
  const inWords = (amountMinor: number) => amountInWords(amountMinor, charge.currency)
  // No code, as it comes from Stripe: whoever wants to know must look at what is left.
  const message = `Refund amount (${inWords(given.amount)}) is greater than unrefunded amount on charge (${inWords(leftMinor)})`
  return invalidRequest(message, { param: 'amount' })
}

function refundEntry(given: Given, charge: Charge, books: Books, circumstances: Circumstances): EntryDraft {
  const behaviour = behaviourOf(books, charge.paymentMethod)
  const usual = behaviour.kind === 'pays' ? behaviour.refund : undefined
  const becomes = circumstances.bankRefuses ? 'fails-later' : usual
  const later = new Date(Date.parse(circumstances.at) + circumstances.refundChangeMs).toISOString()
  return draftEntry({
    at: circumstances.at,
    type: 'refund.created',
    intentId: charge.intentId,
    chargeId: charge.id,
    refundId: newId('re'),
    customerId: charge.customerId,
    amountMinor: given.amount ?? refundableMinor(charge),
    currency: charge.currency,
    metadata: given.metadata ?? {},
    paymentMethod: charge.paymentMethod,
    idempotencyKey: circumstances.idempotencyKey,
    requestId: circumstances.requestId,
    refundReason: given.reason ?? null,
    refundStatus: becomes === 'succeeds-later' ? 'pending' : 'succeeded',
    outlook: becomes ? { status: becomes === 'fails-later' ? 'failed' : 'succeeded', at: later } : null,
  })
}
