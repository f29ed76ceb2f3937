import { z } from 'zod'
import type { Books } from '../books.ts'
import type { ChangingEndpoint } from '../endpoint.ts'
import { draftEntry } from '../facts.ts'
import { newId } from '../new-id.ts'
import { intentAfter } from '../payment-intent.ts'
import { refusePaymentMethod } from '../payment-methods.ts'
import { refuseCharge } from '../wire/amount-refusal.ts'
import { type Answer, noSuch } from '../wire/answer.ts'
import { answerWithIntent } from '../wire/answer-with-intent.ts'
import {
  amountParameter,
  booleanParameter,
  captureMethodParameter,
  currencyParameter,
  expandParameter,
  idParameter,
  metadataParameter,
} from '../wire/parameters.ts'
import { confirm } from './confirm-payment-intent.ts'

/**
 * Source: https://docs.stripe.com/changelog/endive (2026-09-30), which is older than the version that our client asks
 * for.
 */
const noLongerSupported = z
  .unknown()
  .refine(() => false, {
    error: 'The `payment_method_types` parameter is no longer supported. Use `allowed_payment_method_types`.',
    params: { stripeCode: 'payment_method_types_no_longer_supported' },
  })
  .optional()

const parameters = z
  .strictObject({
    allowed_payment_method_types: z
      .array(z.literal('card', { error: 'Only cards are simulated.' }))
      .min(1)
      .optional(),
    amount: amountParameter,
    currency: currencyParameter,
    capture_method: captureMethodParameter.optional(),
    confirm: booleanParameter.optional(),
    customer: idParameter.optional(),
    error_on_requires_action: booleanParameter.optional(),
    expand: expandParameter.optional(),
    metadata: metadataParameter.optional(),
    off_session: booleanParameter.optional(),
    payment_method: idParameter.optional(),
    payment_method_types: noLongerSupported,
    return_url: z.string().max(2_000).optional(),
  })
  .superRefine((given, context) => {
    const refusal = refuseCharge(given.amount, given.currency)
    if (!refusal) return
    const { message, code } = refusal
    context.addIssue({ code: 'custom', message, path: ['amount'], params: { stripeCode: code } })
  })
  .superRefine((given, context) => {
    if (given.confirm) return
    for (const name of ['error_on_requires_action', 'off_session', 'return_url'] as const) {
      if (given[name] === undefined) continue
      const message = `The parameter \`${name}\` can only be used with \`confirm=true\`.`
      context.addIssue({ code: 'custom', message, path: [name] })
    }
  })

type Given = z.infer<typeof parameters>

/** `POST /v1/payment_intents`. Without `confirm=true` it moves no money. */
export const createPaymentIntent: ChangingEndpoint<Given> = {
  operation: 'create',
  parameters,
  concerns(given, books) {
    const refusal = refuseUnknown(given, books)
    return refusal ? { ok: false, refusal } : { ok: true, metadata: given.metadata ?? {}, subject: null }
  },
  asksBank: (given) => given.confirm === true,

  execute(given, books, circumstances) {
    const { at, requestId, idempotencyKey } = circumstances
    const created = draftEntry({
      at,
      type: 'intent.created',
      intentId: newId('pi'),
      customerId: given.customer ?? null,
      amountMinor: given.amount,
      currency: given.currency,
      metadata: given.metadata ?? {},
      captureMethod: given.capture_method ?? 'automatic',
      paymentMethod: given.payment_method ?? null,
      idempotencyKey,
      requestId,
    })
    const intent = intentAfter(undefined, created)
    if (!given.confirm) return { facts: [created], answer: answerWithIntent(intent, null) }
    const confirmed = confirm(intent, given, books, circumstances)
    return { facts: [created, ...confirmed.facts], answer: confirmed.answer }
  },
}

function refuseUnknown(given: Given, books: Books): Answer | null {
  const customerId = given.customer ?? null
  if (customerId !== null && !books.customers.find(customerId)) return noSuch('customer', customerId, 'customer')
  return given.payment_method === undefined ? null : refusePaymentMethod(books, given.payment_method, customerId)
}
