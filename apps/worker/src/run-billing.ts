import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from '@seatbelt/http'
import { type LeadershipEvent, type LeadershipOptions, lead } from '@seatbelt/locks'
import { type Billed, type BillingHour, type BillingOptions, billingResource } from '@seatbelt/payments'
import { Counter, type Registry } from 'prom-client'

export interface BillingRunOptions {
  /** Which hour it is, by the database's clock. */
  readonly readHour: () => Promise<BillingHour>
  /** Does what is left of an hour's run, as its leader. */
  readonly bill: (run: Pick<BillingOptions, 'hour' | 'fence' | 'signal'>) => Promise<Billed>
  readonly leadership: Pick<LeadershipOptions, 'lock' | 'draw' | 'ttlMs'>
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly registry: Registry
  /** Waits so long, or until the signal fires. */
  readonly rest?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** The gateway is away, or somebody was at an order: it may be over soon, and nobody waits for this to the second. */
const pauseBeforeGoingOnMs = 5_000
/** The database is in trouble: asking faster would not help. */
const pauseAfterFaultMs = 5_000
/** A process that was suspended, or whose timers drifted, is late by this much at most. */
const longestRestMs = 60_000

/**
 * At each full hour every copy of the worker wakes, and one of them leads the billing run: it is elected by the lock in Redis
 * and writes under its fence. When it is stopped, killed or deposed, another one goes on where it stopped; the rest wait in
 * line and find the run finished. Resolves when the signal has fired and what is under way is written down.
 *
 * Without Redis nobody is elected, and the run waits and says so: an hour's delay harms nobody. The run's safety needs no
 * Redis, and two leaders at once charge nothing twice; but copies that all led without asking would depose each other over
 * and over, and an election in PostgreSQL instead would cost each copy a pinned connection for the rare hour.
 */
export async function runBilling(options: BillingRunOptions): Promise<void> {
  const { readHour, signal, logger, rest = restFor } = options
  const onEvent = createObserver(options)
  while (!signal.aborted) {
    try {
      const { hour, isFinished, restMs } = await readHour()
      if (isFinished) await rest(Math.min(restMs, longestRestMs), signal)
      else if ((await leadHour(options, hour, onEvent)) === 'unfinished') await rest(pauseBeforeGoingOnMs, signal)
    } catch (fault) {
      logger.error({ err: fault }, 'the billing run failed; it is taken up again')
      await rest(pauseAfterFaultMs, signal)
    }
  }
}

async function leadHour(
  { bill, leadership, signal, logger }: BillingRunOptions,
  hour: Date,
  onEvent: (event: LeadershipEvent) => void,
): Promise<Billed> {
  let billed: Billed = 'unfinished'
  await lead({ ...leadership, resource: billingResource, signal, onEvent }, async (term) => {
    billed = await bill({ hour, fence: term.fence, signal: term.signal })
    const done = billed === 'finished-before' ? 'found the billing run finished' : 'led the billing run'
    logger.info({ hour, fence: String(term.fence), billed }, done)
  })
  return billed
}

function createObserver({ logger, registry }: BillingRunOptions): (event: LeadershipEvent) => void {
  const elections = new Counter({
    name: 'billing_elections_total',
    help: 'How campaigns for leading the billing run ended: elected, or why not. Unavailable: nobody leads, and nothing is billed.',
    labelNames: ['result'],
    registers: [registry],
  })
  let isAway = false
  return (event) => {
    if (event.kind === 'ended') return
    const result = event.kind === 'began' ? 'elected' : event.refusal.reason
    elections.inc({ result })
    const wasAway = isAway
    isAway = result === 'unavailable'
    if (isAway && !wasAway && event.kind === 'not-elected')
      logger.warn({ err: event.refusal.cause }, 'no leader can be elected for the billing run: it waits')
  }
}

async function restFor(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined)
}
