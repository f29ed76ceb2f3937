import { z } from 'zod'
import type { Books } from '../books.ts'
import type { Concerned, ReadingEndpoint } from '../endpoint.ts'
import type { Refund } from '../refund.ts'
import { notFound } from '../wire/answer.ts'
import { renderRefund } from '../wire/render-refund.ts'

const parameters = z.strictObject({})

/** `GET /v1/refunds/:id` */
export const retrieveRefund: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'retrieve-refund',
  parameters,
  read(_given, books, id) {
    const refund = books.refunds.find(id)
    if (!refund) return { answer: notFound('refund', id), concerned: null }
    return { answer: { status: 200, body: renderRefund(refund) }, concerned: concernedOf(refund, books) }
  },
}

function concernedOf(refund: Refund, books: Books): Concerned {
  return { metadata: { ...books.intents.find(refund.intentId)?.metadata, ...refund.metadata }, subject: refund.id }
}
