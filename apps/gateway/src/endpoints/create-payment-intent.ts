import { z } from 'zod'
import type { ChangingEndpoint } from '../endpoint.ts'
import type { LedgerEntry } from '../facts.ts'
import { newId } from '../new-id.ts'
import { intentAfter } from '../payment-intent.ts'
import {
  amountParameter,
  booleanParameter,
  currencyParameter,
  expandParameter,
  metadataParameter,
  paymentMethodParameter,
} from '../wire/parameters.ts'
import { renderPaymentIntent } from '../wire/render-payment-intent.ts'
import { confirm } from './confirm-payment-intent.ts'

/** Source: https://docs.stripe.com/changelog/endive (2026-09-30), which is older than the version that our client asks for. */
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
    capture_method: z.enum(['automatic', 'automatic_async'], { error: 'Manual capture is not simulated.' }).optional(),
    confirm: booleanParameter.optional(),
    error_on_requires_action: booleanParameter.optional(),
    expand: expandParameter.optional(),
    metadata: metadataParameter.optional(),
    off_session: booleanParameter.optional(),
    payment_method: paymentMethodParameter.optional(),
    payment_method_types: noLongerSupported,
    return_url: z.string().max(2_000).optional(),
  })
  .superRefine((given, context) => {
    if (given.confirm) return
    for (const name of ['error_on_requires_action', 'off_session', 'return_url'] as const) {
      if (given[name] === undefined) continue
      const message = `The parameter \`${name}\` can only be used with \`confirm=true\`.`
      context.addIssue({ code: 'custom', message, path: [name] })
    }
  })

/** `POST /v1/payment_intents`. Without `confirm=true` it moves no money. */
export const createPaymentIntent: ChangingEndpoint<z.infer<typeof parameters>> = {
  operation: 'create',
  parameters,
  concerns: (given) => ({ ok: true, metadata: given.metadata ?? {} }),
  charges: (given) => given.confirm === true,

  execute(given, _intent, circumstances) {
    const { at, requestId, idempotencyKey } = circumstances
    const created: Omit<LedgerEntry, 'seq'> = {
      at,
      type: 'intent.created',
      intentId: newId('pi'),
      chargeId: null,
      amountMinor: given.amount,
      currency: given.currency,
      metadata: given.metadata ?? {},
      idempotencyKey,
      requestId,
      paymentMethod: given.payment_method ?? null,
      error: null,
      cancellationReason: null,
    }
    const intent = intentAfter(undefined, created)
    if (!given.confirm) {
      return { facts: [created], answer: { status: 200, body: renderPaymentIntent(intent, given.expand) } }
    }
    const confirmed = confirm(intent, given, circumstances)
    return { facts: [created, ...confirmed.facts], answer: confirmed.answer }
  },
}
