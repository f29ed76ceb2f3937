/** A server that actors talk to. Each actor reaches it through a proxy of its own. */
export type ServerName = 'postgres' | 'redis' | 'gateway'

/** The addresses by which one actor reaches the servers. */
export type Urls = Readonly<Record<ServerName, string>>

/** One of the programs that run against each other, such as a replica of a backend with one request. */
export interface Actor<World> {
  readonly name: string
  /** Connects by these addresses alone. `clock` must be its only source of time, timers, ids and randomness. */
  readonly open: (urls: Urls, clock: ActorClock) => Promise<OpenActor<World>>
  /** Servers to which it connects anew by itself. An actor that lost another connection is replaced. */
  readonly reconnects?: readonly ServerName[]
  /** Returns what is sent in the place of a statement: for layers that are conditions in statements. */
  readonly rewrite?: (sql: string) => string
}

/** It runs many schedules, one at a time. After a crash it is thrown away, and a new one is opened. */
export interface OpenActor<World> {
  readonly run: (world: World) => Promise<unknown>
  readonly close: () => Promise<void>
}

/** Time, timers, ids and randomness of one actor. Fits the `Runtime` of the operations. */
export interface ActorClock {
  /** Steps of the schedule, as milliseconds. */
  readonly monotonicMs: () => number
  /** A step like any other: the scheduler ends it. */
  readonly pause: (ms: number) => Promise<void>
  readonly newId: () => string
  readonly random: () => number
}

/** The programs that are explored, and their judge. `World` names the rows of one schedule, which no other one sees. */
export interface Scenario<World> {
  readonly name: string
  /** They run against each other. The first one begins, unless the schedule says otherwise. */
  readonly actors: readonly Actor<World>[]
  /** Finishes what an owner left. Runs while an actor sleeps past its lease, and after a fault. Null: there is none. */
  readonly recovery: Actor<World> | null
  /** Run one after the other when all else has ended, such as a client that asks again. */
  readonly afterwards: readonly Actor<World>[]
  readonly prepare: (schedule: number) => Promise<World>
  /** Moves the leases of this world into the past, and deletes its locks in Redis. */
  readonly expire: (world: World) => Promise<void>
  /** Makes Redis lose its keys. */
  readonly flush: () => Promise<void>
  /** Returns what must not be. `endings` has what each actor returned, in words. */
  readonly judge: (world: World, endings: Execution['endings']) => Promise<readonly string[]>
}

/** Something that the scheduler does otherwise than by default, at this step. */
export type Deviation =
  /** Another actor continues, although the current one could. */
  | { readonly at: number; readonly kind: 'switch'; readonly to: string }
  /** The actor dies at its next message, which its server still receives or not. */
  | { readonly at: number; readonly kind: 'crash'; readonly delivered: boolean }
  /** The server acts on the message, and the connection breaks before its answer. */
  | { readonly at: number; readonly kind: 'lose-answer' }
  /** The actor's message is delayed past its lease and lock, and recovery begins meanwhile. Its clock stands still. */
  | { readonly at: number; readonly kind: 'pause' }
  /** Redis loses its keys. */
  | { readonly at: number; readonly kind: 'flush' }
  /** The server gives up waiting for a lock on behalf of this actor: `lock_timeout`. */
  | { readonly at: number; readonly kind: 'time-out'; readonly of: string }
  /** Of a deadlock, PostgreSQL chooses this victim. */
  | { readonly at: number; readonly kind: 'victim'; readonly of: string }

export type FaultKind = Exclude<Deviation['kind'], 'switch' | 'victim'>

export interface Schedule {
  /** The actor that begins. */
  readonly first: string
  /** In the order of their steps. */
  readonly deviations: readonly Deviation[]
}

/** One message of an actor, and what became of it. */
export interface Step {
  readonly n: number
  readonly actor: string
  readonly server: ServerName | 'clock'
  /** The whole message, with ids and values numbered, so that it is the same in every replay. */
  readonly text: string
  /**
   * `blocked`: its backend waits for another actor; `answeredAt` is the step at which its answer came.
   * `lost`: it never arrived. `unanswered`: its server acted, and the answer was lost. A dead actor sends nothing more.
   */
  readonly outcome: 'answered' | 'blocked' | 'lost' | 'unanswered'
  readonly answeredAt: number | null
  /** `UPDATE 1`, `error 40P01`, `OK`, `200`. Null: none arrived. */
  readonly answer: string | null
  /** The fault that the scheduler put here. */
  readonly fault: FaultKind | null
}

/** One schedule, as it ran. */
export interface Execution {
  readonly schedule: Schedule
  readonly actors: readonly string[]
  readonly steps: readonly Step[]
  /** The result or error of each actor, in words. Null: it died. */
  readonly endings: Readonly<Record<string, string | null>>
  /** The findings of the judge. */
  readonly violations: readonly string[]
  /** Of the canonical form of all of the above. */
  readonly hash: string
}
