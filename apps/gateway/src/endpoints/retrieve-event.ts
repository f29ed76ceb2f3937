import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { metadataOf } from '../event.ts'
import { notFound } from '../wire/answer.ts'
import { renderEvent } from '../wire/render-event.ts'

const parameters = z.strictObject({})

/** `GET /v1/events/:id` */
export const retrieveEvent: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'retrieve-event',
  parameters,
  read(_given, books, id) {
    const event = books.events.find(id)
    if (!event) return { answer: notFound('event', id), concerned: null }
    const answer = { status: 200, body: renderEvent(event, books.isOwed(id) ? 1 : 0) }
    return { answer, concerned: { metadata: metadataOf(event), subject: event.id } }
  },
}
