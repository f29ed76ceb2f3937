import type { Execution, FaultKind, Scenario, Schedule } from './contract.ts'
import { Control, Stuck } from './control.ts'
import { Player, type Servers } from './player.ts'
import { randomDecisions } from './random-schedule.ts'
import { type Decide, isFault, runSchedule, scripted, type Trace } from './run-schedule.ts'
import { SessionReserve } from './session-reserve.ts'

/** How far schedules deviate from running one actor after the other. */
export interface Bounds {
  /** Switches away from an actor that could continue. */
  readonly preemptions: number
  /** Schedules with one fault have at most this many of them. Null: no faults. */
  readonly preemptionsWithFault: number | null
}

export interface ExploreOptions<World> {
  readonly scenario: Scenario<World>
  readonly servers: Servers & { readonly postgres: string }
  readonly bounds: Bounds
  /** Further schedules at random, after those within the bounds. The nth has the seed `firstSeed + n`. */
  readonly random?: RandomPart
  /** Faults that are tried; all by default. */
  readonly faults?: readonly FaultKind[]
  /** A violation that is known neither counts nor becomes the shortest one. */
  readonly isKnown?: (violating: Execution) => boolean
  /** Called with each execution. `stop` ends the exploration after it. */
  readonly onExecution?: (execution: Execution, stop: () => void) => void
  readonly signal?: AbortSignal
  /** Schedules at most. */
  readonly limit?: number
  /** Numbers of schedules begin here: no two explorations of one database may share numbers. */
  readonly firstNumber?: number
}

export interface RandomPart {
  readonly firstSeed: number
  readonly schedules: number
  /** How often an actor falls behind all others in each. */
  readonly changes: number
}

const allFaults: readonly FaultKind[] = ['crash', 'lose-answer', 'pause', 'flush', 'time-out']

export interface Explored {
  readonly schedules: number
  /** Whether each schedule within the bounds was run, and each random one. */
  readonly isComplete: boolean
  readonly violating: number
  /** Of the violating executions, the one with the fewest deviations. */
  readonly shortest: Execution | null
  readonly uncertain: readonly Uncertain[]
  readonly nextNumber: number
}

/** A schedule that ran differently the second time, or got stuck. Its result does not count. */
export interface Uncertain {
  readonly schedule: Schedule
  readonly why: string
}

/** Each hundredth schedule runs twice, and so does the first violation. A difference means a lack of control. */
const replayEvery = 100

/**
 * Runs every schedule of a scenario within the bounds, those with the fewest deviations first.
 *
 * A schedule is the default one (an actor runs until it ends or waits for a lock) with deviations at some steps. Each
 * run reports what could have been done otherwise at each later step, and each such alternative is a schedule.
 */
export async function explore<World>(options: ExploreOptions<World>): Promise<Explored> {
  const explorer = await Explorer.open(options)
  try {
    return await explorer.explore()
  } finally {
    await explorer.close()
  }
}

/** Runs one schedule, such as one that violated something before. */
export async function replay<World>(
  options: Pick<ExploreOptions<World>, 'scenario' | 'servers' | 'firstNumber'>,
  schedule: Schedule,
): Promise<Execution> {
  const explorer = await Explorer.open({ ...options, bounds: { preemptions: 0, preemptionsWithFault: null } })
  try {
    return await explorer.run(schedule.first, scripted(schedule.deviations))
  } finally {
    await explorer.close()
  }
}

class Explorer<World> {
  readonly #options: ExploreOptions<World>
  readonly #control: Control
  readonly #players = new Map<string, Player<World>>()
  readonly #reserve = new SessionReserve()
  readonly #uncertain: Uncertain[] = []
  #schedules = 0
  #violating = 0
  #shortest: Execution | null = null
  #isStopped = false
  #number: number

  private constructor(options: ExploreOptions<World>, control: Control) {
    this.#options = options
    this.#control = control
    this.#number = options.firstNumber ?? 1
  }

  static async open<World>(options: ExploreOptions<World>): Promise<Explorer<World>> {
    const control = new Control(options.servers.postgres)
    await control.open()
    return new Explorer(options, control)
  }

  async close(): Promise<void> {
    for (const player of this.#players.values()) await player.close()
    this.#reserve.close()
    await this.#control.close()
  }

  async explore(): Promise<Explored> {
    const { scenario, bounds, faults = allFaults, random } = this.#options
    const actors = [...scenario.actors, ...(scenario.recovery ? [scenario.recovery] : [])].map(({ name }) => name)
    const schedules: Schedule[] = scenario.actors.map(({ name }) => ({ first: name, deviations: [] }))
    let steps = 1
    // It grows while it is walked.
    for (const { first, deviations } of schedules) {
      if (this.#mustStop()) break
      const trace = await this.#count(first, () => scripted(deviations))
      if (!trace) continue
      steps = Math.max(steps, trace.points.at(-1)?.at ?? 0)
      schedules.push(...alternatives(trace, bounds, faults))
    }
    for (let nth = 0; random && nth < random.schedules && !this.#mustStop(); nth += 1) {
      const decisions = () =>
        randomDecisions(random.firstSeed + nth, { actors, steps, faults, changes: random.changes })
      await this.#count(decisions().first, () => decisions().decide)
    }
    return {
      schedules: this.#schedules,
      isComplete: !this.#isStopped && this.#uncertain.length === 0,
      violating: this.#violating,
      shortest: this.#shortest,
      uncertain: this.#uncertain,
      nextNumber: this.#number,
    }
  }

  #mustStop(): boolean {
    const { limit = Number.POSITIVE_INFINITY, signal } = this.#options
    if (this.#schedules >= limit || signal?.aborted) this.#isStopped = true
    return this.#isStopped
  }

  /** Null: it got stuck, or its replay differed. */
  async #count(first: string, decide: () => Decide): Promise<Trace | null> {
    const isReplayed = this.#schedules % replayEvery === 0
    this.#schedules += 1
    let schedule: Schedule = { first, deviations: [] }
    try {
      const trace = await this.run(first, decide())
      schedule = trace.schedule
      const isViolating = trace.violations.length > 0 && !this.#options.isKnown?.(trace)
      const isFinding = isViolating && this.#shortest === null
      const again = isReplayed || isFinding ? await this.run(first, scripted(schedule.deviations)) : trace
      if (again.hash !== trace.hash) throw new Stuck(`its replay differed: ${difference(trace, again)}`)
      if (isViolating) this.#violating += 1
      if (isFinding) this.#shortest = trace
      this.#options.onExecution?.(trace, () => {
        this.#isStopped = true
      })
      return trace
    } catch (fault) {
      if (!(fault instanceof Stuck)) throw fault
      this.#uncertain.push({ schedule, why: fault.message })
      return null
    }
  }

  async run(first: string, decide: Decide): Promise<Trace> {
    const { scenario } = this.#options
    const stage = { scenario, control: this.#control, player: (name: string) => this.#player(name) }
    try {
      return await runSchedule(stage, first, decide, this.#number++)
    } catch (fault) {
      for (const player of this.#players.values()) player.isWorn = true
      throw fault
    }
  }

  async #player(name: string): Promise<Player<World>> {
    const known = this.#players.get(name)
    if (known && !known.isWorn) return known
    if (known) await known.close()
    const { scenario, servers } = this.#options
    const actors = [...scenario.actors, ...scenario.afterwards, ...(scenario.recovery ? [scenario.recovery] : [])]
    const found = actors.find((one) => one.name === name)
    if (!found) throw new Error(`no actor is named ${name}`)
    const player = new Player(found, servers, this.#reserve)
    await player.open()
    this.#players.set(name, player)
    return player
  }
}

function difference(one: Trace, other: Trace): string {
  const at = one.steps.findIndex((step, n) => JSON.stringify(step) !== JSON.stringify(other.steps[n]))
  return at < 0
    ? `${JSON.stringify(one.endings)} and ${JSON.stringify(other.endings)}`
    : `step ${at} was ${JSON.stringify(one.steps[at])} and ${JSON.stringify(other.steps[at])}`
}

/** The schedules that deviate from this one once more, after its last deviation. */
export function alternatives({ schedule, points }: Trace, bounds: Bounds, faults: readonly FaultKind[]): Schedule[] {
  const { first, deviations } = schedule
  const preemptions = points.filter(({ preempts, made }) => preempts && made !== null).length
  const hasFault = deviations.some(isFault)
  const most = (hasFault ? bounds.preemptionsWithFault : bounds.preemptions) ?? 0
  const mayFail = !hasFault && preemptions <= (bounds.preemptionsWithFault ?? -1)
  const mayPreempt = preemptions < most
  return points
    .filter(({ taken, made }) => taken >= deviations.length && made === null)
    .flatMap(({ preempts, options }) =>
      options.filter(({ kind }) => {
        if (kind === 'victim') return true
        return kind === 'switch' ? mayPreempt || !preempts : mayFail && faults.includes(kind)
      }),
    )
    .map((deviation) => ({ first, deviations: [...deviations, deviation] }))
}
