import { randomUUID } from 'node:crypto'
import { createDatabase, type Database, developmentAccounts, seedDevelopment } from '@seatbelt/database'
import { createLogger } from '@seatbelt/http'
import {
  enqueueMessages,
  type Message,
  type Purgeable,
  processRuntime,
  purgeBatchSize,
  SendFailure,
} from '@seatbelt/payments'
import { createLatch, eventually, type FreshDatabase, freshDatabase } from '@seatbelt/testing'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runPurge } from '../src/run-purge.ts'
import { runRelays } from '../src/run-relays.ts'

const accountId = developmentAccounts[0].id
let fresh: FreshDatabase
let database: Database

beforeEach(async () => {
  fresh = await freshDatabase()
  database = createDatabase({ url: fresh.url, poolSize: 6, applicationName: 'relays-test' })
  await seedDevelopment(database)
  await database.client.webhookEndpoint.create({ data: { accountId, url: 'https://shop.example', secret: 'whsec_' } })
})
afterEach(async () => {
  await database.close()
  await fresh.close()
})

function tell(count: number): Promise<unknown> {
  const fact = () =>
    ({ accountId, topic: 'payment.succeeded', subjectId: randomUUID(), data: {}, receipt: null }) as const
  const one = () => database.transaction(async (tx) => enqueueMessages({ runtime: processRuntime }, tx, fact()))
  return Promise.all(Array.from({ length: count }, one))
}

function start(webhook: (message: Message) => Promise<void>) {
  const registry = new Registry()
  const stop = new AbortController()
  const lines: string[] = []
  const logger = createLogger({ level: 'warn', instance: 'worker' }, { write: (line) => void lines.push(line) })
  const ended = runRelays({
    ...{ database, send: { receipt: null, webhook }, lanes: 2, idlePauseMs: 20, signal: stop.signal, logger, registry },
    times: { sendDeadlineMs: 15_000, leaseMs: 60_000 },
  })
  const counted = async (name: string) => (await registry.getSingleMetric(name)?.get())?.values ?? []
  const end = () => {
    stop.abort()
    return ended
  }
  return { end, counted, lines }
}

describe('the relays of a worker', () => {
  it('send everything once, also beside a second worker, and export the age of what is unsent', async () => {
    await tell(12)
    await database.client.$executeRaw`UPDATE outbox SET created_at = created_at - interval '90 seconds'`
    const sent: string[] = []
    const mayGoOn = createLatch('the figures were read')
    const send = async ({ id }: Message) => {
      sent.push(id)
      await mayGoOn.wait()
    }
    const [one, two] = [start(send), start(send)]
    const lags = await one.counted('outbox_oldest_unsent_seconds')
    expect(lags).toContainEqual({ labels: { channel: 'receipt' }, value: 0 })
    expect(lags.find(({ labels }) => labels.channel === 'webhook')?.value).toBeGreaterThanOrEqual(90)
    mayGoOn.open()
    await eventually('all are sent', async () => sent.length === 12)
    await Promise.all([one.end(), two.end()])
    expect(new Set(sent).size).toBe(12)
    const sentBy = [await one.counted('outbox_messages_total'), await two.counted('outbox_messages_total')].flat()
    expect(sentBy.map(({ labels }) => labels)).toEqual(sentBy.map(() => ({ channel: 'webhook', result: 'sent' })))
    expect(sentBy.reduce((sum, { value }) => sum + value, 0)).toBe(12)
  })

  it('count what is given up, and log it without its address', async () => {
    await tell(1)
    const relays = start(() => Promise.reject(new SendFailure('HTTP 500', { isPermanent: true })))
    await eventually('it was given up', async () => {
      const dead = await relays.counted('outbox_dead_messages')
      return dead.some(({ labels, value }) => labels.channel === 'webhook' && value === 1)
    })
    await relays.end()
    expect(await relays.counted('outbox_messages_total')).toMatchObject([{ labels: { result: 'dead' }, value: 1 }])
    expect(relays.lines.join('')).toContain('HTTP 500')
    expect(relays.lines.join('')).not.toContain('shop.example')
  })

  it('log once that a channel is off', async () => {
    const relays = start(async () => undefined)
    await relays.end()
    expect(relays.lines.filter((line) => line.includes('"channel":"receipt"'))).toHaveLength(1)
  })
})

describe('the purge of a worker', () => {
  it('continues while batches are full, through every kind, and rests when nothing is old enough', async () => {
    const left: Record<Purgeable, number> = { 'idempotency-keys': purgeBatchSize + 1, outbox: 1, 'gateway-events': 0 }
    const rounds: Purgeable[] = []
    const isThrough = createLatch('every kind was asked')
    const purge = async (what: Purgeable) => {
      rounds.push(what)
      const rows = Math.min(left[what], purgeBatchSize)
      left[what] -= rows
      if (what === 'gateway-events') isThrough.open()
      return rows
    }
    const registry = new Registry()
    const stop = new AbortController()
    const logger = createLogger({ level: 'silent', instance: 'worker' })
    const ended = runPurge({ purge, signal: stop.signal, logger, registry })
    await isThrough.wait()
    stop.abort()
    await ended
    expect(rounds).toEqual(['idempotency-keys', 'idempotency-keys', 'outbox', 'gateway-events'])
    const { values = [] } = (await registry.getSingleMetric('purged_rows_total')?.get()) ?? {}
    expect(values).toContainEqual({ labels: { what: 'idempotency-keys' }, value: purgeBatchSize + 1 })
  })
})
