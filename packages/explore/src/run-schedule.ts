import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { canonical, hashOf } from './canonical.ts'
import type { Deviation, Execution, Scenario, Schedule, Step } from './contract.ts'
import type { Control } from './control.ts'
import type { Answer } from './messages.ts'
import { isPause, type Player } from './player.ts'
import type { Link } from './wire.ts'

/** An actor did not do what it must: send something, end, or wait for a lock. The schedule proves nothing. */
export class Stuck extends Error {}

/** The alternatives of the scheduler at one step. */
export interface Choice {
  readonly at: number
  /** Deviations before this choice. Several choices can have one step, because some deviations take none. */
  readonly taken: number
  /** Null: the last one could not continue, so that going on with another actor preempts none. */
  readonly running: string | null
  readonly chosen: string
  readonly enabled: readonly string[]
  readonly blocked: readonly string[]
  /** Of the message that the chosen one sent. */
  readonly server: Step['server']
}

export interface Deadlock {
  readonly at: number
  readonly taken: number
  readonly victims: readonly string[]
  readonly chosen: string
}

export interface Trace extends Execution {
  readonly choices: readonly Choice[]
  readonly deadlocks: readonly Deadlock[]
}

export interface Stage<World> {
  readonly scenario: Scenario<World>
  readonly control: Control
  /** Opens it, or takes one that is open. */
  readonly player: (name: string) => Promise<Player<World>>
}

/** A hundred times longer than any answer or actor takes. */
const boundMs = 10_000
/** An answer that is not there by then may never come: its backend is asked whether it waits for a lock. */
const usualAnswerMs = 3

interface Waiting<World> {
  readonly player: Player<World>
  readonly link: Link
  readonly answer: Promise<Answer>
  readonly step: number
}

/** Runs one schedule from the preparation to the verdict. Fails with `Stuck`. */
export async function runSchedule<World>(stage: Stage<World>, schedule: Schedule, number: number): Promise<Trace> {
  const { scenario } = stage
  const world = await scenario.prepare(number)
  const run = new Run(stage, schedule, number, world)
  for (const { name } of scenario.actors) await run.add(name)
  await run.play(schedule.first)
  if (schedule.deviations.some(({ kind }) => kind !== 'switch' && kind !== 'victim')) {
    await scenario.expire(world)
    if (scenario.recovery) await run.playAlone(scenario.recovery.name)
  }
  for (const { name } of scenario.afterwards) await run.playAlone(name)
  return run.trace(await scenario.judge(world, run.endings()))
}

class Run<World> {
  readonly #stage: Stage<World>
  readonly #schedule: Schedule
  readonly #world: World
  readonly #number: number
  readonly #players: Player<World>[] = []
  readonly #steps: Omit<Step, 'n'>[] = []
  readonly #choices: Choice[] = []
  readonly #deadlocks: Deadlock[] = []
  readonly #sleepers = new Set<Player<World>>()
  readonly #left: Deviation[]
  #waiting: Waiting<World>[] = []
  /** Until the actors have ended. Recovery and retries run in one order. */
  #hasChoices = true

  constructor(stage: Stage<World>, schedule: Schedule, number: number, world: World) {
    this.#stage = stage
    this.#schedule = schedule
    this.#number = number
    this.#world = world
    this.#left = [...schedule.deviations]
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

  /** Without choices. */
  async playAlone(name: string): Promise<void> {
    if (this.#left.length > 0) throw new Stuck(`${JSON.stringify(this.#left)} comes after the end`)
    this.#hasChoices = false
    await this.add(name)
    await this.play(name)
  }

  endings(): Execution['endings'] {
    return Object.fromEntries(this.#players.map(({ actor, ending, isDead }) => [actor.name, isDead ? null : ending]))
  }

  trace(violations: readonly string[]): Trace {
    const actors = this.#players.map(({ actor }) => actor.name)
    const steps = this.#steps.map((step, n) => ({ n, ...step }))
    const shown = canonical({ actors, steps, endings: this.endings(), violations })
    const [choices, deadlocks] = [this.#choices, this.#deadlocks]
    return { ...shown, schedule: this.#schedule, hash: hashOf({ ...shown, choices, deadlocks }), choices, deadlocks }
  }

  /** One step. Returns the player that is to continue. */
  async #goOn(running: Player<World> | undefined, enabled: readonly Player<World>[]): Promise<Player<World>> {
    const taken = this.#taken
    const isRunning = running !== undefined && enabled.includes(running)
    const to = this.#takeDeviation('switch')?.to
    const chosen = to === undefined ? (isRunning ? running : this.#after(running, enabled)) : this.#named(to, enabled)
    if (this.#hasChoices) this.#choices.push(this.#choice(taken, running, chosen, enabled))
    const timeOut = this.#takeDeviation('time-out')
    if (timeOut) {
      await this.#cancel(this.#named(timeOut.of, this.#players), '55P03')
      return chosen
    }
    if (this.#takeDeviation('pause')) return this.#sleep(chosen)
    await this.#step(chosen)
    return chosen
  }

  /** The deviations that were made so far. */
  get #taken(): number {
    return this.#schedule.deviations.length - this.#left.length
  }

  #choice(
    taken: number,
    running: Player<World> | undefined,
    chosen: Player<World>,
    enabled: readonly Player<World>[],
  ): Choice {
    const isFirst = this.#choices.length === 0
    return {
      at: this.#steps.length,
      taken,
      running: !isFirst && running && enabled.includes(running) ? running.actor.name : null,
      chosen: chosen.actor.name,
      enabled: enabled.map(({ actor }) => actor.name),
      blocked: this.#waiting.map(({ player }) => player.actor.name),
      server: chosen.next === null || isPause(chosen.next) ? 'clock' : chosen.next.link.server,
    }
  }

  /** The next player in the order of the actors. */
  #after(running: Player<World> | undefined, enabled: readonly Player<World>[]): Player<World> {
    const from = running ? this.#players.indexOf(running) : -1
    const inTurn = [...this.#players.slice(from + 1), ...this.#players.slice(0, from + 1)]
    return this.#named(inTurn.find((player) => enabled.includes(player))?.actor.name, enabled)
  }

  #named(name: string | undefined, players: readonly Player<World>[]): Player<World> {
    const player = players.find(({ actor }) => actor.name === name)
    if (!player) throw new Stuck(`${name} cannot go on at step ${this.#steps.length}`)
    return player
  }

  #takeDeviation<Kind extends Deviation['kind']>(kind: Kind): Extract<Deviation, { kind: Kind }> | undefined {
    const [next] = this.#left
    if (next?.at !== this.#steps.length || next.kind !== kind) return undefined
    return this.#left.shift() as Extract<Deviation, { kind: Kind }>
  }

  /** The player sleeps past its lease, and recovery acts meanwhile. */
  async #sleep(player: Player<World>): Promise<Player<World>> {
    const { scenario } = this.#stage
    await scenario.expire(this.#world)
    this.#sleepers.add(player)
    player.isWorn = true
    return scenario.recovery ? this.add(scenario.recovery.name) : player
  }

  async #step(player: Player<World>): Promise<void> {
    const { next } = player
    if (next === null) throw new Stuck(`${player.actor.name} has nothing to send`)
    const crash = this.#takeDeviation('crash')
    const isLost = this.#takeDeviation('lose-answer') !== undefined
    const isFlushed = this.#takeDeviation('flush') !== undefined
    if (isFlushed) await this.#stage.scenario.flush()
    const slept = this.#sleepers.delete(player)
    const fault = crash ? 'crash' : isLost ? 'lose-answer' : isFlushed ? 'flush' : slept ? 'pause' : null
    const at = this.#record(player, next, fault)
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
    const arrived = await this.#arrival(link, answer)
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
    if (fault === 'crash') return
    if (fault !== 'lose-answer') return link.answer(answer)
    player.isWorn = true
    link.cut()
    if (link.backendPid !== null) await this.#stage.control.terminate([link.backendPid])
  }

  /** Null: its backend waits for a lock of another actor. */
  async #arrival(link: Link, answer: Promise<Answer>): Promise<Answer | null> {
    const giveUpAtMs = performance.now() + boundMs
    while (performance.now() < giveUpAtMs) {
      const arrived = await Promise.race([answer, sleep(usualAnswerMs, null)])
      if (arrived) return arrived
      if (link.backendPid !== null && (await this.#stage.control.isBlocked(link.backendPid))) {
        // The answer may have come while the question was on its way.
        return Promise.race([answer, turn(null)])
      }
    }
    throw new Stuck(`${link.server} did not answer within ${boundMs} ms`)
  }

  async #kill(player: Player<World>): Promise<void> {
    const pids = player.backendPids
    this.#waiting = this.#waiting.filter((waiting) => waiting.player !== player)
    player.die()
    await this.#stage.control.terminate(pids)
  }

  /** Collects the answers of waiters whose lock is free now. Some wait for another lock then. */
  async #releaseWaiting(): Promise<void> {
    for (const waiting of [...this.#waiting]) {
      const arrived = await this.#arrival(waiting.link, waiting.answer)
      if (!arrived) continue
      this.#waiting = this.#waiting.filter((one) => one !== waiting)
      await this.#receive(waiting, arrived)
      await this.#settle(waiting.player)
    }
  }

  async #breakDeadlock(): Promise<void> {
    const [at, taken] = [this.#steps.length, this.#taken]
    const victims = this.#waiting.map(({ player }) => player.actor.name)
    if (victims.length < 2) throw new Stuck(`${victims} waits for a lock that no other actor will release`)
    const timeOut = this.#takeDeviation('time-out')
    if (timeOut) return this.#cancel(this.#named(timeOut.of, this.#players), '55P03')
    const chosen = this.#takeDeviation('victim')?.of ?? victims.at(-1) ?? ''
    this.#deadlocks.push({ at, taken, victims, chosen })
    await this.#cancel(this.#named(chosen, this.#players), '40P01')
  }

  async #cancel(player: Player<World>, sqlState: string): Promise<void> {
    const waiting = this.#waiting.find((one) => one.player === player)
    if (!waiting) throw new Stuck(`${player.actor.name} waits for no lock`)
    waiting.link.renameCancellation = sqlState
    await this.#stage.control.cancel(waiting.link.backendPid)
    await this.#releaseWaiting()
  }

  /** Resolves when the player has sent its next message, waits for a lock, or has ended. */
  async #settle(player: Player<World>): Promise<void> {
    const late = sleep(boundMs, 'late', { ref: false })
    while (!player.isDead && player.next === null && player.awaited.length === 0 && player.ending === null) {
      const change = await Promise.race([player.changes(), late])
      if (change === 'late') throw new Stuck(`${player.actor.name} did nothing for ${boundMs} ms`)
    }
    // A second connection of the same player may have sent something as well.
    await turn()
    await turn()
  }
}
