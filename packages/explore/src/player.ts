import type { Actor, ActorClock, OpenActor, ServerName, Urls } from './contract.ts'
import { numbersFrom } from './random-schedule.ts'
import type { SessionReserve } from './session-reserve.ts'
import type { HeldMessage, Link } from './wire.ts'
import { Wire } from './wire.ts'

/** The servers, by the addresses at which they really are. */
export type Servers = Readonly<Partial<Record<ServerName, string>>>

const serverNames: readonly ServerName[] = ['postgres', 'redis', 'gateway']

/** A step of an actor's clock: it ends when the scheduler says so. */
interface Pause {
  readonly text: string
  readonly end: () => void
}

/**
 * One actor in the hands of the scheduler: its wires and its clock.
 *
 * A player runs many schedules, one at a time. One that died or lost a connection is replaced.
 */
export class Player<World> {
  readonly actor: Actor<World>
  readonly #servers: Servers
  readonly #reserve: SessionReserve
  readonly #wires: Wire[] = []
  readonly #pauses: Pause[] = []
  #open: OpenActor<World> | null = null
  #wake: () => void = () => undefined
  #step: () => number = () => 0
  #schedule = 0
  #ids = 0
  #random = numbersFrom(0)
  /** In words, once it returned or threw. */
  ending: string | null = null
  isDead = false
  /** It died or lost a connection for good, so another schedule must not use it. */
  isWorn = false

  constructor(actor: Actor<World>, servers: Servers, reserve: SessionReserve) {
    this.actor = actor
    this.#servers = servers
    this.#reserve = reserve
  }

  async open(): Promise<void> {
    const urls: Partial<Record<ServerName, string>> = {}
    for (const server of serverNames) {
      const target = this.#servers[server]
      if (target === undefined) continue
      const events = { onChange: () => this.#wake() }
      const wire = new Wire(server, target, this.actor.rewrite ?? ((sql) => sql), this.#reserve, events)
      this.#wires.push(wire)
      urls[server] = await wire.open()
    }
    this.#open = await this.actor.open(urls as Urls, this.#clock())
    for (const wire of this.#wires) wire.isHolding = true
  }

  async close(): Promise<void> {
    // It may wait for ever for the answer to a message that is held.
    if (!this.isOver) await this.die()
    for (const link of this.#links()) if (this.isDead) link.bury()
    // A dead actor may wait for ever for what it sent.
    if (!this.isDead) await this.#open?.close()
    for (const wire of this.#wires) await wire.close()
  }

  /** Begins one schedule. `step` returns the number of the current step, which is the actor's time. */
  start(schedule: number, world: World, step: () => number): void {
    // Recovery can run twice in one schedule. Its ids must not repeat.
    if (schedule !== this.#schedule) {
      this.#ids = 0
      this.#random = numbersFrom(seedOf(this.actor.name))
    }
    this.#schedule = schedule
    this.#step = step
    this.ending = null
    const end = (words: string) => {
      this.ending = words
      this.#wake()
    }
    if (!this.#open) throw new Error(`${this.actor.name} is not open`)
    this.#open.run(world).then(
      (result) => end(String(result)),
      (fault: unknown) => end(`failed: ${fault instanceof Error ? fault.message : String(fault)}`),
    )
  }

  /** The message that it would send next. The order of the servers decides between two connections. */
  get next(): HeldMessage | Pause | null {
    for (const link of this.#links()) {
      const message = link.next
      if (message !== null) return { message, link }
    }
    return this.#pauses[0] ?? null
  }

  get isOver(): boolean {
    return this.isDead || this.ending !== null
  }

  /** Its connections on which a message is with a server. */
  get awaited(): Link[] {
    return this.#links().filter((link) => link.isAwaited)
  }

  get backendPids(): number[] {
    return this.#links().flatMap(({ backendPid }) => (backendPid === null ? [] : [backendPid]))
  }

  endPause(): void {
    this.#pauses.shift()?.end()
  }

  /** Resolves with the processes of PostgreSQL that still have to end. */
  async die(): Promise<number[]> {
    this.isDead = true
    this.isWorn = true
    const pids = await Promise.all(this.#links().map((link) => link.die()))
    return pids.filter((pid) => pid !== null)
  }

  /** Resolves when it sends something, ends, or loses a connection. */
  changes(): Promise<'changed'> {
    return new Promise((resolve) => {
      this.#wake = () => resolve('changed')
    })
  }

  #links(): Link[] {
    return this.#wires.flatMap(({ links }) => [...links])
  }

  #clock(): ActorClock {
    return {
      monotonicMs: () => this.#step(),
      pause: (ms) =>
        new Promise((resolve) => {
          this.#pauses.push({ text: `pause ${Math.round(ms)} ms`, end: resolve })
          this.#wake()
        }),
      newId: () => this.#newId(),
      random: () => this.#random(),
    }
  }

  /** As a UUIDv7: first the schedule in the place of the time, then the actor, then a counter. */
  #newId(): string {
    const time = this.#schedule.toString(16).padStart(12, '0')
    const [first = 0, second = 0] = Buffer.from(this.actor.name)
    const actor = `7${(first % 16).toString(16)}${(second % 256).toString(16).padStart(2, '0')}`
    const count = (this.#ids++).toString(16).padStart(12, '0')
    const name = seedOf(this.actor.name)
    return `${time.slice(0, 8)}-${time.slice(8)}-${actor}-8${name.toString(16).padStart(3, '0')}-${count}`
  }
}

/** Each actor has other ids and random numbers than the others, and the same ones in every schedule. */
function seedOf(name: string): number {
  return Buffer.from(name).reduce((sum, byte) => (sum * 31 + byte) % 0xfff, 7)
}

export function isPause(next: HeldMessage | Pause): next is Pause {
  return 'end' in next
}
