import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { Counter } from 'prom-client'
import { comparePositions, readEntry } from './seat-change-entry.ts'
import type { NewsListener, SeatChangeLog, SeatChangeLogOptions, SeatNews } from './seat-change-log.ts'

/** One who follows. Until he has what he missed, what comes is kept for him. */
interface Follower {
  readonly listener: NewsListener
  /** Up to here he was told. */
  position: string
  kept: SeatNews[] | null
}

/** An event that somebody follows. */
interface Channel {
  readonly eventId: string
  readonly followers: Set<Follower>
  /** Up to here it was read. Null until that is known. */
  readUpTo: string | null
}

/** Shorter than the time after which a silent connection is given up. */
const blockMs = 2_000
/** Beyond that, the answer to a blocking read does not come any more. */
const readMs = 2 * blockMs
/** How long changes are gathered before the next read: nobody sees the difference, and many are told with one write. */
const gatherMs = 100
const mostPerRead = 500
/** A client that is further behind is served better by the map. */
const mostMissed = 1_000
/** What one who has not begun yet may have to wait for. */
const mostKept = 2 * mostMissed
/** Between tries while Redis is away. */
const retryMs = 250
/**
 * How long before its beginning a new follower is told of: longer than a picture of the seats can be old. Who asks for the map once
 * he follows therefore misses nothing in between.
 */
const overlapMs = 1_000
const emptyStream = '0-0'

/** Follows all events that anybody here follows, with one connection that blocks. */
export function createSeatChangeReader(
  options: Required<SeatChangeLogOptions>,
): Pick<SeatChangeLog, 'follow' | 'close'> {
  const { redis, keyPrefix } = options
  const resets = new Counter({
    name: 'seat_change_resets_total',
    help: 'How often somebody who follows an event was told that something may be missing.',
    registers: [options.registry],
  })
  const channels = new Map<string, Channel>()
  // What is appended to it ends a blocking read, so that the next one has the events that were added.
  const wakeKey = `${keyPrefix}wake:${randomUUID()}`
  const connection = redis.duplicate({ lazyConnect: true, commandTimeout: readMs })
  let isInterrupted = false
  let isClosed = false
  let reading: Promise<void> | null = null
  connection.on('error', () => undefined)
  connection.on('close', () => {
    isInterrupted = true
  })

  function tell(follower: Follower, news: readonly SeatNews[]): void {
    if (follower.kept) {
      follower.kept.push(...news)
      if (follower.kept.length > mostKept) follower.kept = [{ kind: 'reset', id: news.at(-1)?.id ?? emptyStream }]
      return
    }
    const isNew = ({ kind, id }: SeatNews) => kind !== 'change' || comparePositions(id, follower.position) > 0
    const fresh = news.every(isNew) ? news : news.filter(isNew)
    follower.position = fresh.at(-1)?.id ?? follower.position
    resets.inc(fresh.filter(({ kind }) => kind === 'reset').length)
    if (fresh.length > 0) follower.listener(fresh)
  }

  function tellAll({ followers }: Channel, news: readonly SeatNews[]): void {
    for (const follower of followers) tell(follower, news)
  }

  async function read(): Promise<void> {
    let wokenUpTo = emptyStream
    if (connection.status === 'wait') await connection.connect().catch(() => undefined)
    // Whoever is followed by now was read just before.
    isInterrupted = false
    for (;;) {
      const followed = [...channels.values()].filter((channel) => channel.readUpTo !== null)
      if (isClosed || followed.length === 0) break
      try {
        if (isInterrupted) await resume(connection, followed)
        const keys = followed.map(({ eventId }) => keyPrefix + eventId)
        const positions = followed.map(({ readUpTo }) => readUpTo ?? emptyStream)
        const streams = await readStreams(connection, [wakeKey, ...keys], [wokenUpTo, ...positions])
        wokenUpTo = streams.get(wakeKey)?.at(-1)?.[0] ?? wokenUpTo
        for (const channel of followed) deliver(channel, streams.get(keyPrefix + channel.eventId) ?? [])
        await pause(gatherMs)
      } catch {
        isInterrupted = true
        await pause(retryMs)
      }
    }
    // At once, and not when somebody hears of it: who comes in between must find that nobody reads.
    reading = null
  }

  function deliver(channel: Channel, entries: readonly Entry[]): void {
    if (entries.length === 0) return
    channel.readUpTo = entries.at(-1)?.[0] ?? channel.readUpTo
    tellAll(
      channel,
      entries.map(([id, fields]) => readEntry(channel.eventId, id, fields)),
    )
  }

  /** Redis was away: what should have been written meanwhile may be missing, and what was read before may be gone. */
  async function resume(client: Redis, followed: readonly Channel[]): Promise<void> {
    const ends = await Promise.all(followed.map(({ eventId }) => readEnd(client, keyPrefix + eventId)))
    isInterrupted = false
    followed.forEach((channel, index) => {
      const id = ends[index] ?? emptyStream
      channel.readUpTo = id
      tellAll(channel, [{ kind: 'reset', id }])
    })
  }

  function add(eventId: string, follower: Follower): Channel {
    const channel = channels.get(eventId) ?? { eventId, followers: new Set(), readUpTo: null }
    channel.followers.add(follower)
    channels.set(eventId, channel)
    return channel
  }

  function remove(channel: Channel, follower: Follower): void {
    channel.followers.delete(follower)
    if (channel.followers.size === 0 && channels.get(channel.eventId) === channel) channels.delete(channel.eventId)
  }

  /** From now on the reading includes it. */
  async function include(channel: Channel, end: string): Promise<void> {
    if (channel.readUpTo !== null) return
    channel.readUpTo = end
    reading ??= read()
    await redis.xadd(wakeKey, 'MAXLEN', 1, '*', 'wake', '1')
    await redis.pexpire(wakeKey, readMs)
  }

  return {
    async follow(eventId, after, listener) {
      const follower: Follower = { listener, position: emptyStream, kept: [] }
      const channel = add(eventId, follower)
      try {
        if (isClosed) throw new Error('the log is closed')
        const missed = await readMissed(redis, keyPrefix + eventId, after)
        await include(channel, missed.end)
        const kept = follower.kept ?? []
        follower.kept = null
        tell(follower, toNews(eventId, missed))
        tell(follower, kept)
        return () => remove(channel, follower)
      } catch {
        remove(channel, follower)
        return null
      }
    },
    async close() {
      isClosed = true
      connection.disconnect()
      await reading
    },
  }
}

type Entry = readonly [id: string, fields: string[]]

async function readStreams(
  client: Redis,
  keys: readonly string[],
  positions: readonly string[],
): Promise<ReadonlyMap<string, readonly Entry[]>> {
  const streams = await client.xread('COUNT', mostPerRead, 'BLOCK', blockMs, 'STREAMS', ...keys, ...positions)
  return new Map(streams ?? [])
}

async function readEnd(client: Redis, key: string): Promise<string> {
  const [last] = await client.xrevrange(key, '+', '-', 'COUNT', 1)
  return last?.[0] ?? emptyStream
}

interface Missed {
  readonly end: string
  /** Null: nobody can say what was missed, or it is too much. */
  readonly entries: readonly Entry[] | null
  /** Where the following begins. */
  readonly from: string
}

/**
 * What came after a position. It is all there if the position itself is, because the oldest are dropped first; and that is looked at
 * last, so that what is dropped meanwhile is noticed. The end is read first: what is appended in between is read twice, not never.
 */
async function readMissed(redis: Redis, key: string, after: string | null): Promise<Missed> {
  const from = after ?? (await positionBefore(redis, overlapMs))
  const [end, entries, here] = await Promise.all([
    readEnd(redis, key),
    redis.xrange(key, `(${from}`, '+', 'COUNT', mostMissed + 1),
    after === null ? null : redis.xrange(key, after, after),
  ])
  const isWhole = here === null || here.length > 0
  return { end, from, entries: isWhole && entries.length <= mostMissed ? entries : null }
}

async function positionBefore(redis: Redis, ms: number): Promise<string> {
  const [seconds, microseconds] = await redis.time()
  return `${Math.floor(Number(seconds) * 1_000 + Number(microseconds) / 1_000) - ms}-0`
}

function toNews(eventId: string, { end, entries, from }: Missed): SeatNews[] {
  if (entries === null) return [{ kind: 'reset', id: end }]
  return [{ kind: 'start', id: from }, ...entries.map(([id, fields]) => readEntry(eventId, id, fields))]
}
