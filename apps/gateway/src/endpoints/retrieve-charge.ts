import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { notFound } from '../wire/answer.ts'
import { renderCharge } from '../wire/render-charge.ts'

const parameters = z.strictObject({})

/** `GET /v1/charges/:id` */
export const retrieveCharge: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'retrieve-charge',
  parameters,
  read(_given, books, id) {
    const charge = books.charges.find(id)
    if (!charge) return { answer: notFound('charge', id), concerned: null }
    const answer = { status: 200, body: renderCharge(charge) }
    return { answer, concerned: { metadata: charge.metadata, subject: charge.id } }
  },
}
