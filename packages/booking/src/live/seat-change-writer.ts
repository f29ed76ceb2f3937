import { Counter } from 'prom-client'
import type { SeatChange, SeatChangeLogOptions } from './seat-change.ts'
import { entryField, lossEntry, writeEntry } from './seat-change-entry.ts'

/** Enough for a client that was away for a minute of an on-sale. Some 200 bytes each: 2 MB for an event. */
const mostEntries = 10_000
/** No client resumes after a day, and the streams of past events must not stay for ever. */
const keptMs = 24 * 3_600_000
/** Redis answers a thousand within a second. More means that it does not answer. */
const mostInFlight = 1_000
/** While Redis is away: a write to a Redis that hangs stays in memory until its connection is given up. */
const mostInFlightWhileAway = 1
/** How soon followers receive a reset, once Redis is back. */
const retryMs = 1_000
/** Of which changes are missing. One takes some 100 bytes. */
const mostEventsWithLoss = 10_000

/**
 * Appends changes to their event's stream, best effort: `publish` returns at once, never throws, and keeps a bounded
 * number of them in memory while Redis is away.
 *
 * A dropped change is counted, and its event remembered. Once Redis is back, a `lost` is appended to the event's
 * stream, so that followers read the map.
 */
export function createSeatChangeWriter({ redis, registry, keyPrefix }: Required<SeatChangeLogOptions>): {
  publish(change: SeatChange): void
  close(): void
} {
  const published = new Counter({
    name: 'seat_changes_told_total',
    help: 'Changes of seats that were to be appended to a stream, by what came of it.',
    labelNames: ['result'],
    registers: [registry],
  })
  const withLoss = new Set<string>()
  let inFlight = 0
  let isAway = false
  let retry: NodeJS.Timeout | undefined
  let isClosed = false

  async function append(eventId: string, entry: string): Promise<boolean> {
    const key = keyPrefix + eventId
    inFlight += 1
    try {
      await Promise.all([
        redis.xadd(key, 'MAXLEN', '~', mostEntries, '*', entryField, entry),
        redis.pexpire(key, keptMs),
      ])
      isAway = false
    } catch {
      isAway = true
    } finally {
      inFlight -= 1
    }
    return !isAway
  }

  async function write(change: SeatChange): Promise<void> {
    const hasRoom = inFlight < (isAway ? mostInFlightWhileAway : mostInFlight)
    const isAppended = hasRoom && (await append(change.eventId, writeEntry(change)))
    published.inc({ result: isAppended ? 'appended' : 'dropped' })
    if (!isAppended) lose(change.eventId)
  }

  function lose(eventId: string): void {
    if (withLoss.size < mostEventsWithLoss) withLoss.add(eventId)
    if (!isClosed) retry ??= setTimeout(() => void appendLosses(), retryMs).unref()
  }

  async function appendLosses(): Promise<void> {
    retry = undefined
    for (const eventId of withLoss) {
      withLoss.delete(eventId)
      if (!(await append(eventId, lossEntry))) return lose(eventId)
    }
  }

  return {
    publish: (change) => void write(change),
    close: () => {
      isClosed = true
      clearTimeout(retry)
    },
  }
}
