import { setTimeout as pause } from 'node:timers/promises'
import { type Books, withOurIds } from './evidence.ts'
import { type Figures, figuresOf } from './figures.ts'
import type { LedgerFollower } from './follow-ledger.ts'
import type { MailFollower } from './follow-mail.ts'
import { IncompleteRead } from './incomplete-read.ts'
import { expectedByDefault, type InvariantId, type InvariantReport, report, type Verdict } from './invariant.ts'
import { invariants } from './invariants/index.ts'
import { type LatencySeries, latencySeries } from './latency-series.ts'
import type { Run } from './run-store.ts'
import { withinScope } from './within-scope.ts'

export interface RunVerdict {
  readonly run: string
  readonly verdict: Verdict
  /** Why there is no other verdict than `unknown`; null where the invariants speak for themselves. */
  readonly reason: string | null
  readonly invariants: readonly InvariantReport[]
  /** Null where the evidence could not be read. */
  readonly figures: Figures | null
  /** Null where there was no attempt. */
  readonly latency: LatencySeries | null
  readonly waitedMs: number
}

export interface Witnesses {
  /** Since when the auditor watches, on the database's clock. */
  readonly since: Date
  readonly ledger: LedgerFollower
  /** Null: there is no mail sink. */
  readonly mail: MailFollower | null
  /** What waits in our books, and what the gateway still has to tell us. */
  countUnsettled(): Promise<number>
  readBooks(): Promise<Books>
}

/**
 * How often it is looked whether everything is quiet: longer than the gateway takes for a request, so that a request
 * that was on its way at one look has left its line in the ledger at the next.
 */
const defaultPollMs = 250

export interface JudgeOptions {
  readonly waitMs: number
  readonly pollMs?: number
  /** Invariants that must have had something to look at. */
  readonly expects?: readonly InvariantId[]
}

/**
 * Waits until nothing is being processed or sent and the gateway's ledger and the mail stand still, reads all evidence, and
 * judges it.
 *
 * What is still unsettled when `waitMs` is over counts as stuck and is judged like that. `unknown` where a read was
 * incomplete, the ledger still grew, the clients' history has holes, or an invariant that the run expects had nothing to
 * look at.
 */
export async function judgeRun(
  run: Run,
  witnesses: Witnesses,
  { waitMs, pollMs = defaultPollMs, expects = expectedByDefault }: JudgeOptions,
): Promise<RunVerdict> {
  const startedAt = performance.now()
  const waitedMs = () => Math.round(performance.now() - startedAt)
  const unknown = (reason: string): RunVerdict => ({
    run: run.name,
    verdict: 'unknown',
    reason,
    invariants: [],
    figures: null,
    latency: latencySeries(run.attempts),
    waitedMs: waitedMs(),
  })

  try {
    const books = await readWhenQuiet(witnesses, startedAt + waitMs, pollMs)
    if (books === null)
      return unknown('the gateway was still being used, or mail still came, when the waiting was over')
    const { attempts, disturbances } = run
    const seats = { attempts: run.seatAttempts, books: books.seats }
    const [ledger, mails] = [withOurIds(witnesses.ledger.entries, books), witnesses.mail?.mails ?? null]
    const evidence = withinScope({ attempts, disturbances, ledger, mails, books, seats }, witnesses.since)
    const reports = invariants.map((invariant) => report(invariant, evidence, expects))
    const gaps = run.sendersWithGaps()
    return {
      run: run.name,
      ...conclude(reports, gaps),
      invariants: reports,
      figures: figuresOf(evidence, reports),
      latency: latencySeries(run.attempts),
      waitedMs: waitedMs(),
    }
  } catch (error) {
    if (error instanceof IncompleteRead) return unknown(error.message)
    throw error
  }
}

/** A violation stays one, whatever else is missing. Otherwise anything that is missing leaves the question open. */
export function conclude(
  reports: readonly InvariantReport[],
  sendersWithGaps: readonly string[],
): { verdict: Verdict; reason: string | null } {
  if (reports.some(({ verdict }) => verdict === 'invalid')) return { verdict: 'invalid', reason: null }
  if (sendersWithGaps.length > 0) {
    return { verdict: 'unknown', reason: `attempts are missing from ${sendersWithGaps.slice(0, 5).join(', ')}` }
  }
  const untested = reports.filter(({ verdict }) => verdict === 'unknown').map(({ id }) => id)
  if (untested.length > 0) return { verdict: 'unknown', reason: `nothing to check for ${untested.join(', ')}` }
  return { verdict: 'valid', reason: null }
}

/** Null if ledger and mail never stood still. The books are read between two looks at them that must show the same end. */
async function readWhenQuiet(witnesses: Witnesses, deadline: number, pollMs: number): Promise<Books | null> {
  for (;;) {
    const isOver = performance.now() >= deadline
    const unsettled = await witnesses.countUnsettled()
    await catchUp(witnesses)
    if (unsettled === 0 || isOver) {
      await pause(pollMs)
      const books = await witnesses.readBooks()
      if ((await catchUp(witnesses)) === 0) return books
      if (isOver) return null
    } else {
      await pause(pollMs)
    }
  }
}

async function catchUp({ ledger, mail }: Witnesses): Promise<number> {
  return (await ledger.catchUp()) + ((await mail?.catchUp()) ?? 0)
}
