import { type BookingOperations, isPosition, type SeatChangeLog, type SeatEvent } from '@seatbelt/booking'
import { defineStream, nothing, problem, refusalAnswer, type StreamOperation, serverSentEvent } from '@seatbelt/http'
import { eventPath, seatChange } from '../schemas.ts'
import { eventNotFound } from './events.ts'

/** The live stream of an event's seats. */
export function changesStream(
  { findEvent }: Pick<BookingOperations, 'findEvent'>,
  { follow }: Pick<SeatChangeLog, 'follow'>,
): StreamOperation {
  return defineStream({
    path: '/v1/events/:eventId/changes',
    operationId: 'followChanges',
    tag: 'Events',
    summary: 'Follow which seats change hands',
    description:
      'Server-sent events. Ask for the maps once `start` has come, and apply what follows to them; after a break, come back with Last-Event-ID. It is a convenience: a change may be told twice, changes of one seat within milliseconds in the wrong order, and whoever must know asks for the map. Events:\n',
    params: eventPath,
    unknownId: eventNotFound,
    events: {
      start: { description: 'It is followed from here on.', schema: nothing },
      change: { description: 'Seats, or places of a tier, changed hands.', schema: seatChange },
      reset: { description: 'Something may be missing before this. Ask for the maps anew.', schema: nothing },
    },
    problems: ['event-not-found'],
    open: async ({ accountId, params: { eventId }, lastEventId }) => {
      if (lastEventId !== null && !isPosition(lastEventId)) return notAPosition
      if ((await findEvent(accountId, eventId)) === null) return refusalAnswer(eventNotFound({ eventId }))
      return async (send) => (await follow(eventId, lastEventId, (events) => send(toText(events)))) ?? redisIsAway
    },
  })
}

/** All followers of an event receive the same bytes, which are rendered once. */
const texts = new WeakMap<readonly SeatEvent[], string>()

function toText(events: readonly SeatEvent[]): string {
  const text = texts.get(events) ?? events.map(toEvent).join('')
  texts.set(events, text)
  return text
}

function toEvent(event: SeatEvent): string {
  const { id, kind } = event
  if (kind !== 'change') return serverSentEvent({ id, event: kind, data: {} })
  const { seatIds, tierId, quantity, state } = event.change
  return serverSentEvent({ id, event: kind, data: { seatIds, tierId, quantity, state } })
}

const notAPosition = problem('invalid-request', 'Last-Event-ID: must be the id of an event of this stream.')

const redisIsAway = refusalAnswer({ code: 'temporarily-unavailable', retryAfterSeconds: 1 })
