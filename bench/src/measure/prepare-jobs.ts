import type { LoadClient } from '../load/load-client.ts'
import type { Job, Slice } from '../load/slice.ts'
import type { OperationName } from '../plan.ts'
import {
  checkoutJob,
  confirmIntentJob,
  createIntentJob,
  eventJob,
  holdJob,
  holdsPerRow,
  orderJob,
  paymentJob,
} from './jobs.ts'

/** Where requests go, and on whose behalf. */
export interface Target {
  readonly client: LoadClient
  readonly origins: readonly string[]
  readonly authorization: string
}

/** In flight while something is prepared. The time that it takes is not measured. */
const preparingInFlight = 16

const nobodyWatched = { api: [], postgres: null, redis: null, simulator: null }

/** Makes what such requests need, such as orders to pay for, and returns the requests. Replays need nothing. */
export async function prepareJobs(
  operation: Exclude<OperationName, 'replay'>,
  target: Target,
  count: number,
): Promise<Job[]> {
  switch (operation) {
    case 'payment':
      return (await idsOf(target, many(count, orderJob))).map(paymentJob)
    case 'hold':
      return prepareHolds(target, count)
    case 'checkout':
      return (await doAll(target, await prepareHolds(target, count), 201)).map((body) => checkoutJob(JSON.parse(body)))
    case 'create-intent':
      return many(count, createIntentJob)
    case 'confirm-intent':
      return (await idsOf(target, many(count, createIntentJob), 200)).map(confirmIntentJob)
  }
}

/** Sends all requests once, in any order, and returns the bodies of the answers. */
export async function doAll(
  target: Target,
  jobs: readonly Job[],
  status: number,
  replayed = false,
): Promise<readonly string[]> {
  const slice: Slice = {
    origins: target.origins,
    authorization: target.authorization,
    jobs,
    inFlight: preparingInFlight,
    leadMs: 0,
    windowMs: null,
    repeats: false,
    expected: { status, replayed },
    retriesUnavailable: true,
    watched: nobodyWatched,
    returnsBodies: true,
  }
  return (await target.client.run(slice)).bodies
}

async function idsOf(target: Target, jobs: readonly Job[], status = 201): Promise<string[]> {
  return (await doAll(target, jobs, status)).map((body) => (JSON.parse(body) as { id: string }).id)
}

interface CreatedEvent {
  readonly id: string
  readonly sections: readonly { readonly id: string }[]
}

interface SeatMap {
  readonly rows: readonly { readonly seats: readonly { readonly id: string }[] }[]
}

/** An event for each slice, so that every slice finds all seats free. Two neighboring seats for each hold. */
async function prepareHolds(target: Target, count: number): Promise<Job[]> {
  const [created = ''] = await doAll(target, [eventJob(Math.ceil(count / holdsPerRow))], 201)
  const event = JSON.parse(created) as CreatedEvent
  const section = event.sections[0]?.id ?? ''
  const map = (await getJson(target, `/v1/events/${event.id}/sections/${section}/seats`)) as SeatMap
  const ids = map.rows.flatMap(({ seats }) => seats.map(({ id }) => id))
  return many(count, (index) => holdJob(event.id, ids.slice(2 * index, 2 * index + 2)))
}

async function getJson({ origins, authorization }: Target, path: string): Promise<unknown> {
  const response = await fetch(`${origins[0]}${path}`, { headers: { authorization } })
  if (!response.ok) throw new Error(`GET ${path} was answered ${response.status}: ${await response.text()}`)
  return response.json()
}

function many<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}
