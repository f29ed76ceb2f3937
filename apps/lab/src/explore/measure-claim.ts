import { type Execution, type Schedule, Stuck } from '@seatbelt/explore'
import { boundsOf, faultIn, offWith, offWithout, workloadNamed } from './explore-plan.ts'
import type { Claim, LayerName, MeasuredClaim } from './explore-report.ts'
import { findViolation, withoutTrace } from './find-violation.ts'
import { type Item, type ItemResult, runAgain, runItem, type Servers } from './run-item.ts'
import type { ScenarioName } from './scenarios.ts'

export interface ClaimResult extends Pick<ItemResult, 'uncertain' | 'unchecked'> {
  readonly measured: MeasuredClaim
  /** Whether everything that the measurement needs was run. */
  readonly isCertain: boolean
  /** For the Redis lock alone. */
  readonly messages: SavedMessages | null
}

/** Messages to PostgreSQL and to the gateway, as a mean of all schedules within the bounds without faults. */
export interface SavedMessages {
  readonly without: number
  readonly with: number
}

/** This layer saves work. Nothing may depend on it, so that without it there is no violation either. */
export const savesWork: LayerName = 'redis lock'

/**
 * Measures a claim: with the layer off, something breaks; with the layer on, nothing does.
 *
 * `limit` bounds the schedules with the layer on. Null: all within the bounds.
 */
export function measureClaim(
  claim: Claim,
  servers: Servers,
  signal: AbortSignal,
  limit: number | null = null,
): Promise<ClaimResult> {
  const measurement = { claim, workload: workloadNamed(claim.workload), servers, signal, limit }
  return claim.layer === savesWork ? measureSavedWork(measurement) : measurePrevention(measurement)
}

interface Measurement {
  readonly claim: Claim
  readonly workload: ScenarioName
  readonly servers: Servers
  readonly signal: AbortSignal
  readonly limit: number | null
}

async function measurePrevention(measurement: Measurement): Promise<ClaimResult> {
  const { claim, workload, servers, signal } = measurement
  const without = await findViolation({ workload, off: offWithout(claim), fault: claim.fault }, servers, signal)
  const item = { workload, off: offWith(claim) }
  const withLayer = await runItem(
    { ...item, ...limitOf(measurement), ...sameKind(workload, without.shortest) },
    servers,
    signal,
  )
  const again = without.shortest && !signal.aborted && (await replayWhatFits(item, without.shortest.schedule, servers))
  const isAsClaimed = without.shortest !== null && withLayer.violating === 0
  return {
    measured: {
      ...claim,
      measured: isAsClaimed ? 'as claimed' : 'not as claimed',
      without: without.shortest,
      with: again || null,
      schedulesWithout: without.schedules,
      schedulesWith: withLayer.schedules,
      violationsWith: withLayer.violating,
    },
    isCertain: without.isCertain && withLayer.isComplete,
    uncertain: [...without.uncertain, ...withLayer.uncertain],
    // Without the layer, the violation is the witness.
    unchecked: withLayer.unchecked,
    messages: null,
  }
}

function limitOf({ limit }: Measurement): Pick<Item, 'limit'> {
  return limit === null ? {} : { limit }
}

/** With the layer on, every schedule is run that has at most a fault of the kind that broke something without it. */
function sameKind(workload: Item['workload'], found: Execution | null): Pick<Item, 'bounds' | 'faults'> {
  const fault = found === null ? 'none' : faultIn(found)
  return { bounds: boundsOf(workload, fault), faults: fault === 'none' ? [] : [fault] }
}

/** A layer adds messages or ends an actor early. Then the last deviations have no place, and are left out. */
async function replayWhatFits(
  item: Pick<Item, 'workload' | 'off'>,
  { first, deviations }: Schedule,
  servers: Servers,
): Promise<Execution | null> {
  for (let count = deviations.length; count >= 0; count -= 1) {
    try {
      return withoutTrace(await runAgain(item, { first, deviations: deviations.slice(0, count) }, servers))
    } catch (fault) {
      if (!(fault instanceof Stuck)) throw fault
    }
  }
  return null
}

async function measureSavedWork(measurement: Measurement): Promise<ClaimResult> {
  const { claim, workload, servers, signal } = measurement
  const all = { workload, bounds: boundsOf(workload, 'none'), isRecorded: true, ...limitOf(measurement) }
  const without = await runItem({ ...all, off: offWithout(claim) }, servers, signal)
  const withLayer = await runItem({ ...all, off: offWith(claim) }, servers, signal)
  const messages = { without: meanMessages(without), with: meanMessages(withLayer) }
  const isAsClaimed = without.violating === 0 && withLayer.violating === 0 && messages.with < messages.without
  return {
    measured: {
      ...claim,
      measured: isAsClaimed ? 'as claimed' : 'not as claimed',
      without: without.shortest && withoutTrace(without.shortest),
      with: withLayer.shortest && withoutTrace(withLayer.shortest),
      schedulesWithout: without.schedules,
      schedulesWith: withLayer.schedules,
      violationsWith: withLayer.violating,
    },
    isCertain: without.isComplete && withLayer.isComplete,
    uncertain: [...without.uncertain, ...withLayer.uncertain],
    unchecked: [...new Set([...without.unchecked, ...withLayer.unchecked])],
    messages,
  }
}

function meanMessages({ executions }: ItemResult): number {
  const counts = executions.map(
    ({ steps }) => steps.filter(({ server }) => server === 'postgres' || server === 'gateway').length,
  )
  return counts.reduce((sum, count) => sum + count, 0) / Math.max(1, counts.length)
}
