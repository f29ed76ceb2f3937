import { createHash } from 'node:crypto'
import type { SeatChangeLog } from '@seatbelt/booking'
import {
  createAuthenticate,
  createEventStreams,
  createLogger,
  createMetrics,
  createTokenBuckets,
  type EventStreamsOptions,
} from '@seatbelt/http'
import supertest from 'supertest'
import { createApp } from '../src/index.ts'
import { accountId, fakeBookingOperations } from './fake-booking-operations.ts'

export const key = 'key-of-the-shop'
export const foreignKey = 'key-of-another-shop'
const foreignAccountId = '0192f000-0000-7000-8000-000000000002'
const unlimited = { perSecond: 1_000_000, burst: 1_000_000 }

export interface TestAppOptions {
  readonly follow?: SeatChangeLog['follow']
  readonly streams?: Omit<EventStreamsOptions, 'registry'>
}

/** The app as it is, over a fake of what it calls. */
export function testApp({ follow = async () => null, streams: streamOptions = {} }: TestAppOptions = {}) {
  const { operations, calls, fake } = fakeBookingOperations()
  const accounts = new Map([
    [sha256(key), accountId],
    [sha256(foreignKey), foreignAccountId],
  ])
  const metrics = createMetrics({ processMetrics: false })
  const streams = createEventStreams({ registry: metrics.registry, ...streamOptions })
  const app = createApp({
    operations,
    changes: { log: { follow }, streams },
    authenticate: createAuthenticate({
      developmentKeys: 'accepted',
      strangers: createTokenBuckets(unlimited),
      findAccountByKeyHash: async (hash) => {
        const found = accounts.get(Buffer.from(hash).toString('hex'))
        return found === undefined ? null : { accountId: found }
      },
    }),
    accounts: createTokenBuckets(unlimited),
    metrics,
    logger: createLogger({ level: 'silent', instance: 'booking-api-1' }),
    instance: 'booking-api-1',
  })
  const client = supertest(app)
  return {
    app,
    client,
    calls,
    fake,
    streams,
    get: (path: string) => client.get(path).auth(key, { type: 'bearer' }),
    post: (path: string, idempotencyKey = 'key-1') =>
      client.post(path).auth(key, { type: 'bearer' }).set('Idempotency-Key', idempotencyKey),
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
