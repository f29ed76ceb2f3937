import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { answerList, listParameters } from '../wire/list.ts'
import { renderEvent } from '../wire/render-event.ts'

const parameters = z.strictObject({ ...listParameters, type: z.string().optional() })

/** `GET /v1/events`, newest first: all, or those of one type. With it a receiver catches up with what never came. */
export const listEvents: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'list-events',
  parameters,
  read(given, books) {
    const answer = answerList(books.events, given, {
      url: '/v1/events',
      kind: 'event',
      group: given.type ?? null,
      render: (event) => renderEvent(event, books.isOwed(event.id) ? 1 : 0),
    })
    return { answer, concerned: null }
  },
}
