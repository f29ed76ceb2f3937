import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { noSuchIntent } from '../wire/answer.ts'
import { expandParameter } from '../wire/parameters.ts'
import { renderPaymentIntent } from '../wire/render-payment-intent.ts'

const parameters = z.strictObject({ expand: expandParameter.optional() })

/** `GET /v1/payment_intents/:id` */
export const retrievePaymentIntent: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'retrieve',
  parameters,
  read(given, books, id) {
    const intent = books.findIntent(id) ?? null
    const answer = intent ? { status: 200, body: renderPaymentIntent(intent, given.expand) } : noSuchIntent(id)
    return { answer, intent }
  },
}
