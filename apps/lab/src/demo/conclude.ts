import { wrongs } from '../../../../loadtests/lib/loads.ts'
import type { Figures } from '../auditor/figures.ts'
import type { Verdict } from '../auditor/invariant.ts'
import type { Kill } from './kill-replica.ts'
import type { LoadResult } from './load-under-faults.ts'
import type { SaleResult } from './sell-out-under-faults.ts'

export interface Conclusion {
  readonly verdict: Verdict
  readonly reasons: readonly string[]
}

/** What was fired at the system and at its control; null where it did not come to its end. */
export interface Results {
  readonly guarded: LoadResult | null
  readonly control: LoadResult | null
  readonly sale: SaleResult | null
  readonly controlSale: SaleResult | null
}

type AnyResult = Pick<LoadResult, 'verdict' | 'summary' | 'outcome'>

/**
 * `invalid`: the layers let something through. `unknown`: they did not, but the run does not prove it, because something
 * that it must have met did not happen or was not measured, or because the control found nothing. Else `valid`.
 */
export function conclude({ guarded, control, sale, controlSale }: Results): Conclusion {
  const violations = [
    ...(guarded === null ? [] : violationsOf(guarded)),
    ...(sale === null ? [] : violationsOf(sale).map(ofTheSale)),
  ]
  if (violations.length > 0) return { verdict: 'invalid', reasons: violations }
  const doubts = [
    ...doubtsAboutProtected(guarded),
    ...doubtsAboutControl(control),
    ...doubtsAboutSale(sale),
    ...doubtsAboutControlSale(controlSale),
  ]
  return { verdict: doubts.length > 0 ? 'unknown' : 'valid', reasons: doubts }
}

function violationsOf({ verdict, summary }: AnyResult): string[] {
  const broken = (verdict?.invariants ?? []).filter((invariant) => invariant.verdict === 'invalid')
  const crossed = (summary?.crossed ?? []).filter((metric) => wrongs.includes(metric))
  return [
    ...broken.map(({ id, claim, violations }) => `${id} is violated ${violations} times: ${claim}`),
    ...crossed.map((metric) => `the load test counted ${metric}`),
  ]
}

/** Of any load: that it was judged, and was what it should be. */
function doubtsAboutLoad({ verdict, summary, outcome }: AnyResult): string[] {
  return [
    ...(verdict === null ? ['the auditor gave no verdict'] : []),
    ...(verdict?.verdict === 'unknown' ? [`the auditor does not know: ${verdict.reason}`] : []),
    ...(outcome === 'unknown' ? ['k6 did not come to its end'] : []),
    ...(summary?.crossed ?? []).map((metric) => `the load test's threshold on ${metric} did not hold`),
    ...(summary === null ? ['k6 left no summary'] : []),
  ]
}

function doubtsAboutProtected(result: LoadResult | null): string[] {
  if (result === null) return ['the protected system was not loaded to the end']
  const { verdict, lostAnswers, kills, mailKill, billing } = result
  const leaderKills = billing.leaderKill === null ? [] : [billing.leaderKill]
  const figures = verdict?.figures ?? null
  const coverage = {
    'no two requests for one order were in flight at once': figures?.overlappingPairs,
    'no answer was replayed': figures?.replays,
    'no client was ever left in doubt': figures?.unknownOutcomes,
    'no payment had to be recovered': figures?.recovered,
    'no answer of the gateway was lost': lostAnswers,
    'no replica was killed': kills.length,
    'no worker was killed while mail was on its way': mailKill?.messages ?? 0,
    'no receipt was sent': figures?.receipts?.sent ?? 0,
    'no receipt had to be sent again': figures?.receipts?.duplicates ?? 0,
    'no leader of the billing run was killed': leaderKills.length,
    'no subscription fell due': figures?.invoices?.due ?? 0,
  }
  return [
    ...doubtsAboutLoad(result),
    ...(figures === null ? [] : zeros(coverage)),
    ...uncharged(figures),
    ...idleVictims([...kills, ...leaderKills], 'payment'),
  ]
}

function doubtsAboutSale(result: SaleResult | null): string[] {
  if (result === null) return ['no hall was sold to the end']
  const seats = result.verdict?.figures?.seats ?? null
  const coverage = {
    'no seat was sold': seats?.sold ?? 0,
    'nobody walked away from a hold': seats?.walkedAway ?? 0,
    'no answer of the gateway to a checkout was lost': result.summary?.lostAnswers ?? 0,
    'no replica was killed while the hall was sold': result.kills.length,
  }
  return [
    ...doubtsAboutLoad(result),
    ...(result.verdict === null ? [] : zeros(coverage)),
    ...idleVictims(result.kills, 'checkout'),
  ].map(ofTheSale)
}

function ofTheSale(reason: string): string {
  return `the sale: ${reason}`
}

/** What was met so many times; undefined: nobody could count it. */
function zeros(coverage: Readonly<Record<string, number | undefined>>): string[] {
  return Object.entries(coverage).flatMap(([what, times]) => (times === 0 ? [what] : []))
}

function idleVictims(kills: readonly Kill[], what: 'payment' | 'checkout'): string[] {
  return kills
    .filter(({ payments }) => payments === 0)
    .map(({ instance }) => `${instance} was killed while it had no ${what}`)
}

/** Nobody lost money by it, and yet a run that does not end is not one that shows what it should. */
function uncharged(figures: Figures | null): string[] {
  const { due = 0, charged = 0 } = figures?.invoices ?? {}
  return due === charged ? [] : [`of ${due} periods that were due, ${charged} were charged`]
}

/** The load must find double charges where nothing prevents them; otherwise its finding none elsewhere means nothing. */
function doubtsAboutControl(result: LoadResult | null): string[] {
  const figures = result?.verdict?.figures ?? null
  if (result === null || figures === null) return ['the control was not judged']
  return [
    ...(figures.doubleCharges === 0 ? ['the control was not charged twice, so that this load proves nothing'] : []),
    ...((figures.invoices?.chargedTwice ?? 0) === 0
      ? ['the control charged no period twice, so that the billing run proves nothing']
      : []),
    ...(figures.overlappingPairs === 0 ? ['no two requests to the control were in flight at once'] : []),
  ]
}

/** Nothing must keep a naive sale from selling a seat twice; where it did not, the crowd was too thin to prove anything. */
function doubtsAboutControlSale(result: SaleResult | null): string[] {
  const seats = result?.verdict?.figures?.seats ?? null
  if (seats === null) return ["the control's sale was not judged"]
  return seats.doubleBookings === 0 ? ['the control sold no seat twice, so that this sale proves nothing'] : []
}
