import type { Deviation, Execution, FaultKind, Scenario, Schedule, ServerName } from './contract.ts'
import { Control } from './control.ts'
import { Player, type Servers } from './player.ts'
import { runSchedule, Stuck, type Trace } from './run-schedule.ts'

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
  /** Faults that are tried; all by default. */
  readonly faults?: readonly FaultKind[]
  /** Called with each execution. `stop` ends the exploration after it. */
  readonly onExecution?: (execution: Execution, stop: () => void) => void
  readonly signal?: AbortSignal
  /** Schedules at most. */
  readonly limit?: number
  /** Numbers of schedules begin here: no two explorations of one database may share numbers. */
  readonly firstNumber?: number
}

const allFaults: readonly FaultKind[] = ['crash', 'lose-answer', 'pause', 'flush', 'time-out']

export interface Explored {
  readonly schedules: number
  /** Whether each schedule within the bounds was run. */
  readonly isComplete: boolean
  readonly violating: number
  /** Of the violating executions, the one with the fewest deviations. */
  readonly shortest: Execution | null
  /** Schedules that ran differently the second time, or that got stuck. None of their results counts. */
  readonly uncertain: readonly { readonly schedule: Schedule; readonly why: string }[]
  readonly nextNumber: number
}

/** The first schedule and each hundredth after it run twice. A difference means that the engine lacks control. */
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
    return await explorer.run(schedule)
  } finally {
    await explorer.close()
  }
}

class Explorer<World> {
  readonly #options: ExploreOptions<World>
  readonly #control: Control
  readonly #players = new Map<string, Player<World>>()
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
    await this.#control.close()
  }

  async explore(): Promise<Explored> {
    const { scenario, bounds, faults = allFaults, limit = Number.POSITIVE_INFINITY } = this.#options
    const uncertain: Explored['uncertain'][number][] = []
    let [schedules, violating] = [0, 0]
    let shortest: Execution | null = null
    let isStopped = false
    const waiting: Schedule[] = scenario.actors.map(({ name }) => ({ first: name, deviations: [] }))
    for (let at = 0; at < waiting.length && !isStopped; at += 1) {
      if (schedules >= limit || this.#options.signal?.aborted) isStopped = true
      const schedule = waiting[at]
      if (isStopped || !schedule) break
      const trace = await this.#certain(schedule, schedules % replayEvery === 0, uncertain)
      schedules += 1
      if (!trace) continue
      if (trace.violations.length > 0) {
        violating += 1
        shortest ??= trace
      }
      this.#options.onExecution?.(trace, () => {
        isStopped = true
      })
      waiting.push(...alternatives(trace, bounds, faults))
    }
    const isComplete = !isStopped && uncertain.length === 0
    return { schedules, isComplete, violating, shortest, uncertain, nextNumber: this.#number }
  }

  /** Null: it got stuck, or its replay differed. */
  async #certain(
    schedule: Schedule,
    isReplayed: boolean,
    uncertain: Explored['uncertain'][number][],
  ): Promise<Trace | null> {
    try {
      const trace = await this.run(schedule)
      if (!isReplayed) return trace
      const again = await this.run(schedule)
      if (again.hash === trace.hash) return trace
      uncertain.push({ schedule, why: `its replay differed: ${difference(trace, again)}` })
    } catch (fault) {
      if (!(fault instanceof Stuck)) throw fault
      uncertain.push({ schedule, why: fault.message })
    }
    return null
  }

  async run(schedule: Schedule): Promise<Trace> {
    const { scenario } = this.#options
    const stage = { scenario, control: this.#control, player: (name: string) => this.#player(name) }
    try {
      return await runSchedule(stage, schedule, this.#number++)
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
    const player = new Player(found, servers)
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
export function alternatives(trace: Trace, bounds: Bounds, faults: readonly FaultKind[]): Schedule[] {
  const { first, deviations } = trace.schedule
  const hasFault = deviations.some(({ kind }) => kind !== 'switch' && kind !== 'victim')
  const used = preemptionsIn(trace)
  const most = hasFault ? (bounds.preemptionsWithFault ?? 0) : bounds.preemptions
  const mayFail = !hasFault && bounds.preemptionsWithFault !== null && used <= bounds.preemptionsWithFault
  const found: Deviation[] = []
  for (const [nth, { at, taken, running, chosen, enabled, blocked, server }] of trace.choices.entries()) {
    const isSwitched = isSwitch(deviations[taken], at)
    if (taken + (isSwitched ? 1 : 0) < deviations.length) continue
    for (const to of enabled) {
      // The schedule's `first` says which actor begins.
      if (isSwitched || to === chosen || nth === 0) continue
      if (running === null || used < most) found.push({ at, kind: 'switch', to })
    }
    if (mayFail) for (const kind of faults) found.push(...faultsAt(kind, { at, blocked, server }))
  }
  for (const { at, taken, victims, chosen } of trace.deadlocks) {
    if (taken < deviations.length) continue
    for (const of of victims) {
      if (of !== chosen) found.push({ at, kind: 'victim', of })
      if (mayFail && faults.includes('time-out')) found.push({ at, kind: 'time-out', of })
    }
  }
  return found.map((deviation) => ({ first, deviations: [...deviations, deviation] }))
}

function preemptionsIn({ schedule, choices }: Trace): number {
  return choices.filter(({ at, taken, running }) => running !== null && isSwitch(schedule.deviations[taken], at)).length
}

function isSwitch(deviation: Deviation | undefined, at: number): boolean {
  return deviation?.kind === 'switch' && deviation.at === at
}

/** A server does not wait for a lock, nor lose an answer, at a step of the clock. */
function faultsAt(
  kind: FaultKind,
  { at, blocked, server }: { at: number; blocked: readonly string[]; server: ServerName | 'clock' },
): Deviation[] {
  switch (kind) {
    case 'crash':
      return server === 'clock'
        ? [{ at, kind, delivered: false }]
        : [false, true].map((delivered) => ({ at, kind, delivered }))
    case 'lose-answer':
      return server === 'clock' ? [] : [{ at, kind }]
    case 'time-out':
      return blocked.map((of) => ({ at, kind, of }))
    default:
      return [{ at, kind }]
  }
}
