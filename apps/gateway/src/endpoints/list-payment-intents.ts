import { z } from 'zod'
import type { Books } from '../books.ts'
import type { ReadingEndpoint } from '../endpoint.ts'
import type { PaymentIntent } from '../payment-intent.ts'
import { answerList, listParameters } from '../wire/list.ts'
import { idParameter } from '../wire/parameters.ts'
import { renderPaymentIntent } from '../wire/render-payment-intent.ts'

const parameters = z.strictObject({
  ...listParameters,
  customer: idParameter.optional(),
  // In a list, what is expanded stands below `data`.
  expand: z.array(z.literal('data.latest_charge')).optional(),
})

/** `GET /v1/payment_intents`, newest first: all, or those of a customer. */
export const listPaymentIntents: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'list',
  parameters,
  read(given, books) {
    const render = given.expand
      ? (intent: PaymentIntent) => withCharge(intent, books)
      : (intent: PaymentIntent) => renderPaymentIntent(intent)
    const group = given.customer ?? null
    const answer = answerList(books.intents, given, {
      url: '/v1/payment_intents',
      kind: 'payment_intent',
      group,
      render,
    })
    return { answer, concerned: null }
  },
}

function withCharge(intent: PaymentIntent, books: Books): object {
  return renderPaymentIntent(intent, books.charges.find(intent.chargeId ?? ''))
}
