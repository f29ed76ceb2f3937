import { Counter } from 'prom-client'
import type { SeatChange, TellSeatChange } from './seat-change.ts'
import { entryField, lossEntry, writeEntry } from './seat-change-entry.ts'
import type { SeatChangeLogOptions } from './seat-change-log.ts'

/** Enough for a client that was away for a minute of an on-sale. Some 200 bytes each: 2 MB for an event. */
const mostEntries = 10_000
/** Nobody resumes after a day; and the streams of events that are over must not stay for ever. */
const keptMs = 24 * 3_600_000
/** A thousand a second are answered within a second. More means that Redis does not answer. */
const mostInFlight = 1_000
/** While Redis is away one at a time is tried: what is sent to one that hangs stays in memory until the connection is given up. */
const mostInFlightWhileAway = 1
/** How soon those who follow are told that something is missing, once Redis is back. */
const retryMs = 1_000
/** Of which something is missing. One is some 100 bytes. */
const mostEventsWithLoss = 10_000

/**
 * Appends changes to their event's stream, best effort: `tell` returns at once, never throws, and keeps a bounded number of them
 * in memory while Redis is away. What is dropped is counted, and its event remembered: once Redis is back, a `lost` is appended,
 * so that those who follow know that they must look.
 */
export function createSeatChangeWriter({ redis, registry, keyPrefix }: Required<SeatChangeLogOptions>): {
  readonly tell: TellSeatChange
  close(): void
} {
  const told = new Counter({
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
    const isTold = hasRoom && (await append(change.eventId, writeEntry(change)))
    told.inc({ result: isTold ? 'appended' : 'dropped' })
    if (!isTold) lose(change.eventId)
  }

  function lose(eventId: string): void {
    if (withLoss.size < mostEventsWithLoss) withLoss.add(eventId)
    if (!isClosed) retry ??= setTimeout(() => void tellLosses(), retryMs).unref()
  }

  async function tellLosses(): Promise<void> {
    retry = undefined
    for (const eventId of withLoss) {
      withLoss.delete(eventId)
      if (!(await append(eventId, lossEntry))) return lose(eventId)
    }
  }

  return {
    tell: (change) => void write(change),
    close: () => {
      isClosed = true
      clearTimeout(retry)
    },
  }
}
