import { setImmediate as turn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { canonical, hashOf } from './canonical.ts'
import type { Deviation, Execution, FaultKind, Scenario, Step } from './contract.ts'
import { boundMs, type Control, Stuck } from './control.ts'
import type { Answer } from './messages.ts'
import { isPause, type Player } from './player.ts'
import type { Link } from './wire.ts'

/** A place where the scheduler can deviate. Several can have one step, because some deviations take none. */
export interface Point {
  readonly at: number
  /** The actor that goes on by default. */
  readonly by: string
  /** A switch to another actor stops one that could continue. */
  readonly preempts: boolean
  readonly options: readonly Deviation[]
  /** Deviations before this point. */
  readonly taken: number
  /** Null: it went on by default. */
  readonly made: Deviation | null
}

/** Chooses one of the point's options. Null: go on by default. */
export type Decide = (point: Omit<Point, 'taken' | 'made'>) => Deviation | null

export interface Trace extends Execution {
  readonly points: readonly Point[]
}

export interface Stage<World> {
  readonly scenario: Scenario<World>
  readonly control: Control
  /** Opens it, or takes one that is open. */
  readonly player: (name: string) => Promise<Player<World>>
}

/** An answer that is not there by then may never come: its backend is asked whether it waits for a lock. */
const usualAnswerMs = 1

interface Waiting<World> {
  readonly player: Player<World>
  readonly link: Link
  readonly answer: Promise<Answer>
  readonly step: number
}

/** The deviations of a schedule, each at its step. */
export function scripted(deviations: readonly Deviation[]): Decide {
  const left = [...deviations]
  return ({ at, options }) => {
    const [next] = left
    if (next === undefined || next.at > at) return null
    const found = options.find((option) => isDeepStrictEqual(option, next))
    if (found) left.shift()
    else if (next.at < at) throw new Stuck(`${JSON.stringify(next)} is not possible`)
    return found ?? null
  }
}

/** Runs one schedule from the preparation to the verdict. Fails with `Stuck`. */
export async function runSchedule<World>(
  stage: Stage<World>,
  first: string,
  decide: Decide,
  number: number,
): Promise<Trace> {
  const { scenario } = stage
  const world = await scenario.prepare(number)
  const run = new Run(stage, decide, number, world)
  for (const { name } of scenario.actors) await run.add(name)
  await run.play(first)
  run.endChoices()
  if (run.deviations.some(isFault)) {
    await scenario.expire(world)
    if (scenario.recovery) await run.playAlone(scenario.recovery.name)
  }
  for (const { name } of scenario.afterwards) await run.playAlone(name)
  return run.trace(first, await scenario.judge(world, run.endings()))
}

export function isFault({ kind }: Deviation): boolean {
  return kind !== 'switch' && kind !== 'victim'
}

class Run<World> {
  readonly #stage: Stage<World>
  readonly #decideAt: Decide
  readonly #world: World
  readonly #number: number
  readonly #players: Player<World>[] = []
  readonly #steps: Omit<Step, 'n'>[] = []
  readonly #points: Point[] = []
  readonly #sleepers = new Set<Player<World>>()
  readonly deviations: Deviation[] = []
  #waiting: Waiting<World>[] = []
  /** Since the waiters were asked last, a lock may have become free. */
  #isLockReleased = false
  #hasChoices = true

  constructor(stage: Stage<World>, decide: Decide, number: number, world: World) {
    this.#stage = stage
    this.#decideAt = decide
    this.#number = number
    this.#world = world
  }

  async add(name: string): Promise<Player<World>> {
    const player = await this.#stage.player(name)
    if (!this.#players.includes(player)) this.#players.push(player)
    player.start(this.#number, this.#world, () => this.#steps.length)
    await this.#settle(player)
    return player
  }

  /** Goes on until all have ended. */
  async play(first: string): Promise<void> {
    let running = this.#players.find(({ actor }) => actor.name === first)
    for (;;) {
      const enabled = this.#players.filter((player) => !player.isDead && player.next !== null)
      if (enabled.length > 0) running = await this.#goOn(running, enabled)
      else if (this.#waiting.length > 0) await this.#breakDeadlock()
      else break
    }
    const open = this.#players.find((player) => !player.isOver)
    if (open) throw new Stuck(`${open.actor.name} neither ended nor sent anything`)
  }

  /** The actors have ended. Recovery and retries run in one order. */
  endChoices(): void {
    // A deviation that is left fails here.
    this.#decideAt({ at: Number.POSITIVE_INFINITY, by: '', preempts: false, options: [] })
    this.#hasChoices = false
  }

  async playAlone(name: string): Promise<void> {
    await this.add(name)
    await this.play(name)
  }

  endings(): Execution['endings'] {
    return Object.fromEntries(this.#players.map(({ actor, ending, isDead }) => [actor.name, isDead ? null : ending]))
  }

  trace(first: string, violations: readonly string[]): Trace {
    const actors = this.#players.map(({ actor }) => actor.name)
    const steps = this.#steps.map((step, n) => ({ n, ...step }))
    const shown = canonical({ actors, steps, endings: this.endings(), violations })
    const points = this.#points
    return { ...shown, schedule: { first, deviations: this.deviations }, hash: hashOf({ ...shown, points }), points }
  }

  #decide(point: Parameters<Decide>[0]): Deviation | null {
    if (!this.#hasChoices) return null
    const made = this.#decideAt(point)
    this.#points.push({ ...point, taken: this.deviations.length, made })
    if (made) this.deviations.push(made)
    return made
  }

  /** One step. Returns the player that is to continue. */
  async #goOn(running: Player<World> | undefined, enabled: readonly Player<World>[]): Promise<Player<World>> {
    const isRunning = running !== undefined && enabled.includes(running)
    const byDefault = isRunning ? running : this.#after(running, enabled)
    const chosen = this.#choose(byDefault, enabled, isRunning)
    const { name: by } = chosen.actor
    const fault = this.#decide({ at: this.#steps.length, by, preempts: false, options: this.#faults(chosen) })
    if (fault?.kind === 'time-out') await this.#cancel(this.#named(fault.of), '55P03')
    else if (fault?.kind === 'pause') return this.#sleep(chosen)
    else await this.#step(chosen, fault)
    return chosen
  }

  #choose(byDefault: Player<World>, enabled: readonly Player<World>[], isRunning: boolean): Player<World> {
    const at = this.#steps.length
    // The schedule's `first` says which actor begins.
    const isFirst = this.#points.length === 0
    const others = isFirst ? [] : enabled.filter((player) => player !== byDefault)
    const made = this.#decide({
      at,
      by: byDefault.actor.name,
      preempts: isRunning && !isFirst,
      options: others.map(({ actor }) => ({ at, kind: 'switch', to: actor.name })),
    })
    return made?.kind === 'switch' ? this.#named(made.to) : byDefault
  }

  /**
   * A server does not wait for a lock, nor lose an answer, at a step of the clock.
   *
   * An actor that received an answer and dies before its next message is as dead as one that died before that answer.
   * So a death before a message is an option only where another actor, or the clock, acted in the step before.
   */
  #faults({ actor, next }: Player<World>): Deviation[] {
    const at = this.#steps.length
    const last = this.#steps.at(-1)
    const wentOn = last?.actor === actor.name && last.outcome === 'answered' && last.server !== 'clock'
    const isClock = next !== null && isPause(next)
    return [
      ...(wentOn ? [] : [{ at, kind: 'crash', delivered: false } as const]),
      ...(isClock
        ? []
        : ([
            { at, kind: 'crash', delivered: true },
            { at, kind: 'lose-answer' },
          ] as const)),
      { at, kind: 'pause' },
      { at, kind: 'flush' },
      ...this.#waiting.map(({ player }) => ({ at, kind: 'time-out', of: player.actor.name }) as const),
    ]
  }

  /** The next player in the order of the actors. */
  #after(running: Player<World> | undefined, enabled: readonly Player<World>[]): Player<World> {
    const from = running ? this.#players.indexOf(running) : -1
    const inTurn = [...this.#players.slice(from + 1), ...this.#players.slice(0, from + 1)]
    return this.#named(inTurn.find((player) => enabled.includes(player))?.actor.name)
  }

  #named(name: string | undefined): Player<World> {
    const player = this.#players.find(({ actor }) => actor.name === name)
    if (!player) throw new Stuck(`there is no actor ${name} at step ${this.#steps.length}`)
    return player
  }

  /** The player sleeps past its lease, and recovery acts meanwhile. */
  async #sleep(player: Player<World>): Promise<Player<World>> {
    const { scenario } = this.#stage
    await scenario.expire(this.#world)
    this.#sleepers.add(player)
    return scenario.recovery ? this.add(scenario.recovery.name) : player
  }

  async #step(player: Player<World>, made: Deviation | null): Promise<void> {
    const { next } = player
    if (next === null) throw new Stuck(`${player.actor.name} has nothing to send`)
    const crash = made?.kind === 'crash' ? made : null
    if (made?.kind === 'flush') await this.#stage.scenario.flush()
    const slept = this.#sleepers.delete(player)
    const at = this.#record(player, next, made ? (made.kind as FaultKind) : slept ? 'pause' : null)
    if (crash && !crash.delivered) await this.#kill(player)
    else if (isPause(next)) this.#answerClock(player, at)
    else await this.#deliver(player, next.link, at)
    if (crash?.delivered) await this.#kill(player)
    await this.#settle(player)
    await this.#releaseWaiting()
  }

  #record(player: Player<World>, next: NonNullable<Player<World>['next']>, fault: Step['fault']): number {
    const [server, text] = isPause(next) ? (['clock', next.text] as const) : [next.message.server, next.message.text]
    this.#steps.push({ actor: player.actor.name, server, text, outcome: 'lost', answeredAt: null, answer: null, fault })
    return this.#steps.length - 1
  }

  #change(at: number, changed: Partial<Step>): void {
    const step = this.#steps[at]
    if (step) this.#steps[at] = { ...step, ...changed }
  }

  #answerClock(player: Player<World>, at: number): void {
    player.endPause()
    this.#change(at, { outcome: 'answered', answeredAt: at })
  }

  async #deliver(player: Player<World>, link: Link, at: number): Promise<void> {
    const answer = link.deliver()
    const arrived = (await within(usualAnswerMs, answer)) ?? (await this.#arrival(link, answer))
    if (arrived) return this.#receive({ player, link, answer, step: at }, arrived)
    this.#change(at, { outcome: 'blocked' })
    this.#waiting.push({ player, link, answer, step: at })
  }

  /** Records an answer. A fault of its step takes the answer from its client. */
  async #receive({ player, link, step: at }: Waiting<World>, answer: Answer): Promise<void> {
    const step = this.#steps[at]
    const isBlocked = step?.outcome === 'blocked'
    const fault = step?.fault
    const isUnanswered = fault === 'lose-answer' || fault === 'crash'
    const outcome = isUnanswered ? 'unanswered' : isBlocked ? 'blocked' : 'answered'
    this.#change(at, { outcome, answer: answer.label, answeredAt: isBlocked ? this.#steps.length - 1 : at })
    if (releasesLocks(step?.text ?? '', answer)) this.#isLockReleased = true
    if (fault === 'crash') return
    if (fault !== 'lose-answer') return link.answer(answer)
    player.isWorn ||= !player.actor.reconnects?.includes(link.server)
    const pid = await link.leaveServer()
    link.cut()
    await this.#terminate(pid === null ? [] : [pid])
  }

  /** Null: its backend waits for a lock of another actor. */
  async #arrival(link: Link, answer: Promise<Answer>): Promise<Answer | null> {
    const { control } = this.#stage
    const pids = this.#players.flatMap(({ backendPids }) => backendPids)
    const giveUpAtMs = performance.now() + boundMs
    while (performance.now() < giveUpAtMs) {
      const isBlocked = link.backendPid !== null && (await control.isBlocked(link.backendPid, pids))
      // The answer may have come while the question was on its way.
      if (isBlocked) return Promise.race([answer, turn(null)])
      const arrived = await within(usualAnswerMs, answer)
      if (arrived) return arrived
    }
    throw new Stuck(`${link.server} did not answer within ${boundMs} ms`)
  }

  async #kill(player: Player<World>): Promise<void> {
    this.#waiting = this.#waiting.filter((waiting) => waiting.player !== player)
    await this.#terminate(await player.die())
  }

  async #terminate(pids: readonly number[]): Promise<void> {
    if (pids.length > 0) await this.#stage.control.terminate(pids)
    this.#isLockReleased = true
  }

  /** Collects the answers of waiters whose lock is free now. Some wait for another lock then. */
  async #releaseWaiting(): Promise<void> {
    while (this.#isLockReleased) {
      this.#isLockReleased = false
      for (const waiting of [...this.#waiting]) {
        const arrived = await this.#arrival(waiting.link, waiting.answer)
        if (arrived) await this.#endWait(waiting, arrived)
      }
    }
  }

  async #endWait(waiting: Waiting<World>, answer: Answer): Promise<void> {
    this.#waiting = this.#waiting.filter((one) => one !== waiting)
    await this.#receive(waiting, answer)
    await this.#settle(waiting.player)
  }

  async #breakDeadlock(): Promise<void> {
    const at = this.#steps.length
    const victims = this.#waiting.map(({ player }) => player.actor.name)
    const by = victims.at(-1) ?? ''
    if (victims.length < 2) throw new Stuck(`${victims} waits for a lock that no other actor will release`)
    const others = victims.filter((of) => of !== by).map((of) => ({ at, kind: 'victim', of }) as const)
    const timeOuts = victims.map((of) => ({ at, kind: 'time-out', of }) as const)
    const made = this.#decide({ at, by, preempts: false, options: [...others, ...timeOuts] })
    const of = made && 'of' in made ? made.of : by
    await this.#cancel(this.#named(of), made?.kind === 'time-out' ? '55P03' : '40P01')
  }

  async #cancel(player: Player<World>, sqlState: string): Promise<void> {
    const waiting = this.#waiting.find((one) => one.player === player)
    if (!waiting?.link.backendPid) throw new Stuck(`${player.actor.name} waits for no lock`)
    waiting.link.renameCancellation = sqlState
    await this.#stage.control.cancel(waiting.link.backendPid)
    const answer = await within(boundMs, waiting.answer)
    if (!answer) throw new Stuck(`${player.actor.name} still waits for its lock`)
    await this.#endWait(waiting, answer)
    await this.#releaseWaiting()
  }

  /** Resolves when the player has sent its next message, waits for a lock, or has ended. */
  async #settle(player: Player<World>): Promise<void> {
    while (!player.isOver && player.next === null && player.awaited.length === 0)
      if ((await within(boundMs, player.changes())) === null)
        throw new Stuck(`${player.actor.name} did nothing for ${boundMs} ms`)
    // A second connection of the same player may have sent something as well.
    await turn()
    await turn()
  }
}

/** Locks end with their transaction. Those of a savepoint or a session can end before. */
function releasesLocks(text: string, { status }: Answer): boolean {
  return status === 'I' || status === 'E' || /^ROLLBACK TO|pg_advisory_unlock/i.test(text)
}

/** Null: it took longer. */
async function within<Value>(ms: number, promise: Promise<Value>): Promise<Value | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
