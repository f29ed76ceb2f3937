import { startDrainingServer } from '@seatbelt/http'
import { eventually, type RedisServer, startRedisServer } from '@seatbelt/testing'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { openSeatChangeLog } from '../../../packages/booking/test/open-seat-change-log.ts'
import { event, seatIds } from './fake-booking-operations.ts'
import { key, testApp } from './test-app.ts'

const boundMs = 15_000
/** Longer than any of these tests: a drain that ends did so by itself. */
const farMs = 60_000

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedisServer()
})
afterAll(() => redis.close())

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A replica that listens, with a log of its own. */
async function startReplica() {
  const { log } = await openSeatChangeLog(redis.url, closers)
  const { app, streams } = testApp({ follow: log.follow })
  const server = await startDrainingServer({ app, host: '127.0.0.1', port: 0, isReady: async () => true })
  closers.push(() => server.drain(0))
  return { log, server, streams, url: `http://127.0.0.1:${server.port}` }
}

interface Told {
  readonly id: string
  readonly event: string
  readonly data: { readonly seatIds?: string[]; readonly quantity?: number }
}

/** Reads the stream as a client does, by the rules of server-sent events. */
async function listen(url: string, lastEventId?: string) {
  const abort = new AbortController()
  const headers = { authorization: `Bearer ${key}`, ...(lastEventId && { 'last-event-id': lastEventId }) }
  const response = await fetch(`${url}/v1/events/${event.id}/changes`, { headers, signal: abort.signal })
  const told: Told[] = []
  const ended = (async () => {
    let text = ''
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/).slice(0, 2)))
        if (fields.data) told.push({ id: fields.id, event: fields.event, data: JSON.parse(fields.data) })
      }
    }
    return 'ended'
  })().catch(() => 'torn')
  closers.push(async () => abort.abort())
  return {
    response,
    told,
    ended,
    leave: () => abort.abort(),
    hears: (quantity: number) =>
      eventually(`hears ${quantity}`, () => told.find(({ data }) => data.quantity === quantity), { boundMs }),
  }
}

function change(quantity: number) {
  return { eventId: event.id, seatIds: [...seatIds], tierId: null, quantity, state: 'held' as const }
}

it('what one replica tells comes from another, as the contract has it', async () => {
  const [one, other] = [await startReplica(), await startReplica()]
  const client = await listen(other.url)
  expect([client.response.status, client.response.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  await eventually('it has begun', () => client.told.some((told) => told.event === 'start'), { boundMs })
  one.log.publish(change(1))
  const told = await client.hears(1)
  expect(told).toMatchObject({ event: 'change', id: expect.stringMatching(/^\d+-\d+$/) })
  expect(told.data).toEqual({ seatIds, tierId: null, quantity: 1, state: 'held' })
})

it('a client whose replica drains goes on at another where it was, and misses nothing', async () => {
  const [one, other] = [await startReplica(), await startReplica()]
  const client = await listen(one.url)
  other.log.publish(change(11))
  const { id } = await client.hears(11)

  const drained = one.server.drain(farMs)
  one.streams.end()
  other.log.publish(change(12))
  expect(await drained).toEqual({ cutOff: 0 })
  expect(await client.ended).toBe('ended')

  const again = await listen(other.url, client.told.at(-1)?.id ?? id)
  other.log.publish(change(13))
  await again.hears(13)
  const after = [...client.told, ...again.told].flatMap(({ data: { quantity = 0 } }) =>
    quantity > 10 ? [quantity] : [],
  )
  expect(after).toEqual([11, 12, 13])
})

it('a client that comes back with a position that is gone is told to ask for the maps', async () => {
  const replica = await startReplica()
  const client = await listen(replica.url, '1-1')
  const first = await eventually('it is told', () => client.told[0], { boundMs })
  expect([first.event, first.data]).toEqual(['reset', {}])
})
