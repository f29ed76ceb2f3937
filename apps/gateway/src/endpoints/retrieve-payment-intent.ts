import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { noSuchIntent } from '../wire/answer.ts'
import { answerWithIntent } from '../wire/answer-with-intent.ts'
import { expandParameter } from '../wire/parameters.ts'

const parameters = z.strictObject({ expand: expandParameter.optional() })

/** `GET /v1/payment_intents/:id` */
export const retrievePaymentIntent: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'retrieve',
  parameters,
  read(given, books, id) {
    const intent = books.intents.find(id)
    if (!intent) return { answer: noSuchIntent(id), concerned: null }
    const answer = answerWithIntent(intent, books.charges.find(intent.chargeId ?? ''), given.expand)
    return { answer, concerned: { metadata: intent.metadata, subject: intent.id } }
  },
}
