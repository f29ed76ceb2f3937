import type { Availability, BookingOperations, SeatMap } from '@seatbelt/booking'
import type { Refusal } from '@seatbelt/domain'
import {
  createConditionalAnswer,
  decodeCursor,
  defineCommand,
  defineQuery,
  encodeCursor,
  eventBody,
  jsonAnswer,
  nothing,
  type Operation,
  refusalAnswer,
} from '@seatbelt/http'
import { resultAnswer } from '../result-answer.ts'
import { availability, event, eventList, eventPage, eventPath, newEvent, seatMap, sectionPath } from '../schemas.ts'

type Events = Pick<BookingOperations, 'createEvent' | 'findEvent' | 'listEvents' | 'readAvailability' | 'readSeatMap'>

/** What is sold: made, looked at, and what is left of it. */
export function eventRoutes(operations: Events): Operation[] {
  return [
    createEvent(operations),
    listEvents(operations),
    getEvent(operations),
    getAvailability(operations),
    getSeatMap(operations),
  ]
}

/**
 * The largest event in compact rows is some 150 KB. Each that is worked on is parsed in some milliseconds and holds a connection for
 * some seconds: two leave the others of a replica to those who buy.
 */
const eventBodies = { maxBytes: 256 * 1024, atOnce: 2 }

function createEvent(operations: Events): Operation {
  return defineCommand({
    path: '/v1/events',
    operationId: 'createEvent',
    tag: 'Events',
    summary: 'Create an event with its sections, seats and tiers',
    description: `The plan and its prices do not change once it is there. The body may have ${eventBodies.maxBytes} bytes; a replica takes ${eventBodies.atOnce} at once.`,
    params: nothing,
    body: newEvent,
    largeBody: eventBodies,
    answers: { 201: { description: 'The event', schema: event } },
    problems: [],
    handle: async ({ call, body }) => {
      const saleOpensAt = new Date(body.saleOpensAt)
      const saleClosesAt = new Date(body.saleClosesAt)
      return resultAnswer(await operations.createEvent(call, { ...body, saleOpensAt, saleClosesAt }))
    },
  })
}

function listEvents(operations: Events): Operation {
  return defineQuery({
    path: '/v1/events',
    operationId: 'listEvents',
    tag: 'Events',
    summary: 'List the events of the account',
    params: nothing,
    query: eventPage,
    answers: { 200: { description: 'A page of events', schema: eventList } },
    problems: [],
    handle: async ({ accountId, query: { limit, cursor } }) => {
      const after = cursor === undefined ? null : decodeCursor(cursor)
      const { items, next } = await operations.listEvents(accountId, { limit, after })
      return jsonAnswer(200, { items: items.map(eventBody), nextCursor: next === null ? null : encodeCursor(next) })
    },
  })
}

function getEvent(operations: Events): Operation {
  return defineQuery({
    path: '/v1/events/:eventId',
    operationId: 'getEvent',
    tag: 'Events',
    summary: 'Look at an event',
    params: eventPath,
    unknownId: eventNotFound,
    query: nothing,
    answers: { 200: { description: 'The event', schema: event } },
    problems: ['event-not-found'],
    handle: async ({ accountId, params: { eventId } }) => {
      const found = await operations.findEvent(accountId, eventId)
      return found === null ? refusalAnswer(eventNotFound({ eventId })) : jsonAnswer(200, eventBody(found))
    },
  })
}

/** Said of both pictures. */
const ofPictures =
  'It is a picture, up to half a second old: only a hold decides who has a seat. Ask with If-None-Match.'

function getAvailability(operations: Events): Operation {
  const answer = createConditionalAnswer(availabilityBody)
  return defineQuery({
    path: '/v1/events/:eventId/availability',
    operationId: 'getAvailability',
    tag: 'Events',
    summary: 'Look at what is left, by section and tier',
    description: ofPictures,
    params: eventPath,
    unknownId: eventNotFound,
    query: nothing,
    isConditional: true,
    answers: { 200: { description: 'What is free, held and booked', schema: availability } },
    problems: ['event-not-found'],
    handle: async ({ accountId, params: { eventId } }) => {
      const found = await operations.readAvailability(accountId, eventId)
      return found === null ? refusalAnswer(eventNotFound({ eventId })) : answer(found)
    },
  })
}

function getSeatMap(operations: Events): Operation {
  const answer = createConditionalAnswer(seatMapBody)
  return defineQuery({
    path: '/v1/events/:eventId/sections/:sectionId/seats',
    operationId: 'getSeatMap',
    tag: 'Events',
    summary: 'Look at the seats of a section',
    description: `Rows from the stage backwards. ${ofPictures}`,
    params: sectionPath,
    unknownId: sectionNotFound,
    query: nothing,
    isConditional: true,
    answers: { 200: { description: 'The map', schema: seatMap } },
    problems: ['section-not-found'],
    handle: async ({ accountId, params: { eventId, sectionId } }) => {
      const found = await operations.readSeatMap(accountId, eventId, sectionId)
      return found === null ? refusalAnswer(sectionNotFound({ sectionId })) : answer(found)
    },
  })
}

function availabilityBody({ sections, tiers }: Availability) {
  return {
    sections: sections.map(({ id, name, priceMinor, seats, free, held, booked }) => {
      return { id, name, priceMinor, seats, free, held, booked }
    }),
    tiers: tiers.map(({ id, name, priceMinor, capacity, free, held, sold }) => {
      return { id, name, priceMinor, capacity, free, held, sold }
    }),
  }
}

function seatMapBody({ section: { id, name, priceMinor, seats }, rows }: SeatMap) {
  return {
    section: { id, name, priceMinor, seats },
    rows: rows.map((row) => ({
      name: row.name,
      seats: row.seats.map(({ id, number, accessible, state }) => ({ id, number, accessible, state })),
    })),
  }
}

export function eventNotFound({ eventId = '' }: { readonly eventId?: string }): Refusal {
  return { code: 'event-not-found', eventId }
}

function sectionNotFound({ sectionId = '' }: { readonly sectionId?: string }): Refusal {
  return { code: 'section-not-found', sectionId }
}
