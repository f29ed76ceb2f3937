import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { notFound } from '../wire/answer.ts'
import { renderDispute } from '../wire/render-dispute.ts'

const parameters = z.strictObject({})

/** `GET /v1/disputes/:id` */
export const retrieveDispute: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'retrieve-dispute',
  parameters,
  read(_given, books, id) {
    const dispute = books.disputes.find(id)
    if (!dispute) return { answer: notFound('dispute', id), concerned: null }
    const metadata = books.intents.find(dispute.intentId)?.metadata ?? {}
    return { answer: { status: 200, body: renderDispute(dispute) }, concerned: { metadata, subject: dispute.id } }
  },
}
