import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { Counter } from 'prom-client'
import type { SeatChangeLogOptions, SeatEvent, SeatEventListener } from './seat-change.ts'
import { comparePositions, readEntry } from './seat-change-entry.ts'

/** Until a follower has received what it missed, new events are kept for it. */
interface Follower {
  readonly listener: SeatEventListener
  /** Of the last event that it received. */
  position: string
  kept: SeatEvent[] | null
}

/** An event that has followers. */
interface Channel {
  readonly eventId: string
  readonly followers: Set<Follower>
  /** Null until the end of the stream is known. */
  readUpTo: string | null
}

/** Shorter than the time after which a silent connection is given up. */
const blockMs = 2_000
/** After that, the answer to a blocking read is lost. */
const readMs = 2 * blockMs
/** How long changes are gathered before the next read: no viewer notices, and many are sent with one write. */
const gatherMs = 100
const mostPerRead = 500
/** For a client that is further behind, the map is smaller. */
const mostMissed = 1_000
/** For a follower that has not begun yet. */
const mostKept = 2 * mostMissed
/** Between tries while Redis is away. */
const retryMs = 250
/**
 * A new follower also receives the changes of this time before: longer than a snapshot of the seats can be old. So a
 * client that reads the map once it follows misses nothing in between.
 */
const overlapMs = 1_000
const emptyStream = '0-0'

/** Follows all events that have followers in this process, by one connection that blocks. */
export class SeatChangeReader {
  readonly #redis: Redis
  readonly #keyPrefix: string
  readonly #resets: Counter
  readonly #channels = new Map<string, Channel>()
  /** An entry of this stream ends a blocking read, so that the next one has the events that were added. */
  readonly #wakeKey: string
  readonly #connection: Redis
  #isInterrupted = false
  #isClosed = false
  #reading: Promise<void> | null = null

  constructor({ redis, registry, keyPrefix }: Required<SeatChangeLogOptions>) {
    this.#redis = redis
    this.#keyPrefix = keyPrefix
    this.#wakeKey = `${keyPrefix}wake:${randomUUID()}`
    this.#resets = new Counter({
      name: 'seat_change_resets_total',
      help: 'How often a follower of an event received a reset: changes may be missing.',
      registers: [registry],
    })
    this.#connection = redis.duplicate({ lazyConnect: true, commandTimeout: readMs })
    this.#connection.on('error', () => undefined)
    this.#connection.on('close', () => {
      this.#isInterrupted = true
    })
  }

  async follow(eventId: string, after: string | null, listener: SeatEventListener): Promise<(() => void) | null> {
    const follower: Follower = { listener, position: emptyStream, kept: [] }
    const channel = this.#add(eventId, follower)
    try {
      if (this.#isClosed) throw new Error('the log is closed')
      const { end, events } = await readMissed(this.#redis, eventId, this.#keyPrefix + eventId, after)
      await this.#include(channel, end)
      const kept = follower.kept ?? []
      follower.kept = null
      this.#deliver(follower, events)
      this.#deliver(follower, kept)
      return () => this.#remove(channel, follower)
    } catch {
      this.#remove(channel, follower)
      return null
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#connection.disconnect()
    await this.#reading
  }

  #add(eventId: string, follower: Follower): Channel {
    const channel = this.#channels.get(eventId) ?? { eventId, followers: new Set(), readUpTo: null }
    channel.followers.add(follower)
    this.#channels.set(eventId, channel)
    return channel
  }

  #remove(channel: Channel, follower: Follower): void {
    channel.followers.delete(follower)
    if (channel.followers.size === 0 && this.#channels.get(channel.eventId) === channel)
      this.#channels.delete(channel.eventId)
  }

  /** From now on the reading includes the channel. */
  async #include(channel: Channel, end: string): Promise<void> {
    if (channel.readUpTo !== null) return
    channel.readUpTo = end
    this.#reading ??= this.#read()
    await this.#redis.xadd(this.#wakeKey, 'MAXLEN', 1, '*', 'wake', '1')
    await this.#redis.pexpire(this.#wakeKey, readMs)
  }

  async #read(): Promise<void> {
    let wokenUpTo = emptyStream
    if (this.#connection.status === 'wait') await this.#connection.connect().catch(() => undefined)
    // The channels that are included by now were read just before.
    this.#isInterrupted = false
    for (;;) {
      const followed = [...this.#channels.values()].filter((channel) => channel.readUpTo !== null)
      if (this.#isClosed || followed.length === 0) break
      try {
        if (this.#isInterrupted) await this.#resume(followed)
        const keys = followed.map(({ eventId }) => this.#keyPrefix + eventId)
        const positions = followed.map(({ readUpTo }) => readUpTo ?? emptyStream)
        const where = [this.#wakeKey, ...keys, wokenUpTo, ...positions]
        const read = await this.#connection.xread('COUNT', mostPerRead, 'BLOCK', blockMs, 'STREAMS', ...where)
        const streams = new Map<string, readonly Entry[]>(read)
        wokenUpTo = streams.get(this.#wakeKey)?.at(-1)?.[0] ?? wokenUpTo
        for (const channel of followed) this.#receive(channel, streams.get(this.#keyPrefix + channel.eventId) ?? [])
        await pause(gatherMs)
      } catch {
        this.#isInterrupted = true
        await pause(retryMs)
      }
    }
    // Not after a turn of the event loop: a follower that is added in between must start a new reading.
    this.#reading = null
  }

  #receive(channel: Channel, entries: readonly Entry[]): void {
    if (entries.length === 0) return
    channel.readUpTo = entries.at(-1)?.[0] ?? channel.readUpTo
    const events = entries.map(([id, fields]) => readEntry(channel.eventId, id, fields))
    for (const follower of channel.followers) this.#deliver(follower, events)
  }

  /** Redis was away: changes of that time may be missing, and entries that were read before may be gone. */
  async #resume(followed: readonly Channel[]): Promise<void> {
    const ends = await Promise.all(followed.map(({ eventId }) => readEnd(this.#connection, this.#keyPrefix + eventId)))
    this.#isInterrupted = false
    followed.forEach((channel, index) => {
      const id = ends[index] ?? emptyStream
      channel.readUpTo = id
      for (const follower of channel.followers) this.#deliver(follower, [{ kind: 'reset', id }])
    })
  }

  #deliver(follower: Follower, events: readonly SeatEvent[]): void {
    if (follower.kept) {
      follower.kept.push(...events)
      if (follower.kept.length > mostKept) follower.kept = [{ kind: 'reset', id: events.at(-1)?.id ?? emptyStream }]
      return
    }
    const isNew = ({ kind, id }: SeatEvent) => kind !== 'change' || comparePositions(id, follower.position) > 0
    const fresh = events.every(isNew) ? events : events.filter(isNew)
    follower.position = fresh.at(-1)?.id ?? follower.position
    this.#resets.inc(fresh.filter(({ kind }) => kind === 'reset').length)
    if (fresh.length > 0) follower.listener(fresh)
  }
}

type Entry = readonly [id: string, fields: string[]]

async function readEnd(client: Redis, key: string): Promise<string> {
  const [last] = await client.xrevrange(key, '+', '-', 'COUNT', 1)
  return last?.[0] ?? emptyStream
}

/**
 * Reads what came after a position. It is complete if the position itself is still there, because the oldest entries
 * are dropped first. If it is not complete, or too much, the follower receives a reset.
 *
 * The position is read last, so that a drop in between is noticed. The end is read first: an entry that is appended in
 * between is read twice, and not missed.
 */
async function readMissed(redis: Redis, eventId: string, key: string, after: string | null) {
  const from = after ?? (await positionBefore(redis, overlapMs))
  const [end, entries, here] = await Promise.all([
    readEnd(redis, key),
    redis.xrange(key, `(${from}`, '+', 'COUNT', mostMissed + 1),
    after === null ? null : redis.xrange(key, after, after),
  ])
  const isWhole = here === null || here.length > 0
  const events: SeatEvent[] =
    isWhole && entries.length <= mostMissed
      ? [{ kind: 'start', id: from }, ...entries.map(([id, fields]) => readEntry(eventId, id, fields))]
      : [{ kind: 'reset', id: end }]
  return { end, events }
}

async function positionBefore(redis: Redis, ms: number): Promise<string> {
  const [seconds, microseconds] = await redis.time()
  return `${Math.floor(Number(seconds) * 1_000 + Number(microseconds) / 1_000) - ms}-0`
}
