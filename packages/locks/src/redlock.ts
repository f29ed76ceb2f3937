import { createHash } from 'node:crypto'
import { ReplyError } from 'ioredis'
import Redlock, { type Client, Lock as PackageLock } from 'redlock'
import type { Random } from './backoff.ts'
import { clockDriftMs, startHeartbeat } from './heartbeat.ts'
import { HeldLease } from './held-lease.ts'
import {
  type AcquireOptions,
  type Acquisition,
  assertResource,
  assertTimes,
  type Lease,
  type Lock,
  type LockRefusal,
  type ReleaseOutcome,
} from './lock.ts'
import { pollUntilGranted } from './poll.ts'
import { assertBudget, assertClient } from './redis-lock.ts'
import { extendScript, releaseScript, runScript } from './redis-scripts.ts'
import { type RedlockClient, type RedlockNode, watchNodes } from './redlock-node.ts'
import { withinBudget } from './within-budget.ts'

/**
 * Redlock: the same key on an odd number of independent Redis servers; whoever has it on a majority has the lock.
 *
 * **Guarantees**: at most one holder at a time, however many nodes are killed or restarted, while all clocks tick at
 * about the same rate. A minority that is down, hung or slow costs nothing: each node has `commandBudgetMs`, and the
 * vote is over as soon as a majority agrees. A lease is handed out only with `minValidityMs` left, is renewed on a
 * majority while it is held, and is given up before it can have expired. A restarted node votes only when every lock it
 * may have forgotten is over (`redlock-node.ts`). What a failed try was granted is given back at once, and what it may
 * have been granted, as soon as that node answers. A release that fails is an outcome, never an error.
 *
 * **Does not guarantee**: more than a lock on one Redis does about a paused holder (F1): it is efficiency, not truth.
 * Nothing after a node lost its data without a restart (FLUSHALL). All processes must name the same nodes and the same
 * `longestTtlMs`. Several contenders can split the votes so that nobody has a majority; then all of them are refused as
 * contended, and jitter sorts it out if they wait. It is not fair and not re-entrant.
 *
 * **Fails with**: a refusal `contended`, `timed-out`, `aborted` or `unavailable` (a majority did not answer). Throws
 * only a `RangeError` for arguments that could never work, when built or when asked.
 *
 * **Source**: Redis, "Distributed Locks with Redis", "The Redlock Algorithm"; Martin Kleppmann, "How to do distributed
 * locking" and Salvatore Sanfilippo, "Is Redlock safe?", 2016.
 *
 * **What is used of the package `redlock`** (5.0.0-beta.2): the token, asking all nodes at once, the counting that ends
 * with a majority, the undoing of a failed try. It is given one Redlock for each acquisition, whose clients are the
 * nodes as this acquisition sees them; they harden it from outside:
 * - it waits for ever for a node that hangs, and an even split never settles: here each vote ends within the budget,
 *   and the number of nodes is odd, so one side always has a majority;
 * - it resends a script that a fresh node does not know, so that an acquisition can overtake its own undoing and leave
 *   a lock that nobody holds: here `SET NX PX` does it, one command that needs no script;
 * - it undoes a failed try with a release that may be lost, while the caller waits: here it is repeated in the
 *   background.
 *
 * **What had to be replaced**, because it cannot be changed from outside: `using` (it renews by timers on the wall
 * clock and fires its signal after the lock has expired, 1.5 s with default retries: here `heartbeat.ts`); its validity
 * (also by the wall clock, never checked, so a lock can be handed out that is over: here the monotonic clock, from
 * before the first command was sent); its retries (they cannot be aborted); its one `ExecutionError` for contention and
 * for outage, whose reasons are known only when the slowest node has answered (here the votes are counted a second
 * time, as they come); and releasing, which throws when the lock has expired.
 */
export function createRedlock(options: RedlockOptions): Lock {
  const { commandBudgetMs, longestTtlMs = defaultLongestTtlMs, minValidityMs, random = Math.random } = options
  const { keyPrefix = 'lock:', maxHeldMs = defaultMaxHeldMs } = options
  assertNodes(options)
  const minTtlMs = 3 * commandBudgetMs
  assertTimes({ ttlMs: longestTtlMs }, minTtlMs)
  const rejoinDelayMs = longestTtlMs + clockDriftMs(longestTtlMs)
  const nodes = watchNodes(options.nodes, { rejoinDelayMs, commandBudgetMs })

  return {
    strategy: 'redlock',
    async acquire(resource, acquireOptions) {
      assertResource(resource)
      assertTimes(acquireOptions, minTtlMs)
      const { ttlMs, signal } = acquireOptions
      const leastMs = minValidityMs ?? ttlMs / 2
      assertTtl(ttlMs, leastMs, options, longestTtlMs)
      const key = keyPrefix + resource
      return pollUntilGranted(acquireOptions, { ...pollPauses, random }, () =>
        tryOnce({ key, resource, ttlMs, leastMs, signal }),
      )
    },
  }

  async function tryOnce({ key, resource, ttlMs, leastMs, signal }: Try): Promise<Acquisition | 'contended'> {
    const sentAtMs = performance.now()
    const ballot = openBallot(nodes, { key, ttlMs, commandBudgetMs })
    const vote = ballot.count()
    // Each node's vote ends within the budget, so this does; the second budget is there only to be seen to be unneeded.
    const answer = await withinBudget(ballot.redlock.acquire([key], ttlMs), 2 * commandBudgetMs, signal)

    if (answer.kind === 'answered') {
      const validForMs = sentAtMs + ttlMs - clockDriftMs(ttlMs) - performance.now()
      if (validForMs >= leastMs) {
        ballot.keep()
        const token = answer.value.value
        return { acquired: true, lease: createLease({ ballot, resource, token, key, ttlMs, sentAtMs, maxHeldMs }) }
      }
      ballot.withdraw()
      return unavailable(new Error(`${validForMs} ms were left when the votes were in, and ${leastMs} were asked for`))
    }
    ballot.withdraw()
    if (answer.kind === 'aborted') return { acquired: false, reason: 'aborted' }
    if (vote.failures.length < ballot.quorum) return 'contended'
    return unavailable(
      new AggregateError(vote.failures, `${vote.failures.length} of ${nodes.length} nodes did not vote`),
    )
  }

  function createLease({ ballot, resource, token, key, ttlMs, sentAtMs }: Granted): Lease {
    // Its own expiry is by the wall clock, and it refuses what seems to be over; whether it is over, the heartbeat knows.
    const held = () => new PackageLock(ballot.redlock, [key], token, [], Number.POSITIVE_INFINITY)
    const heartbeat = startHeartbeat({
      resource,
      ttlMs,
      sentAtMs,
      attemptTimeoutMs: commandBudgetMs,
      maxHeldMs,
      async renew() {
        const vote = ballot.count()
        try {
          await ballot.redlock.extend(held(), ttlMs)
          return true
        } catch (error) {
          // Only a majority that denies it proves that it is lost. Nodes that do not answer may still have it.
          if (vote.noes >= ballot.quorum) return false
          throw error
        }
      },
    })
    return new HeldLease(resource, token, heartbeat, async (): Promise<ReleaseOutcome> => {
      const wasLost = heartbeat.isLost()
      heartbeat.stop()
      const vote = ballot.count()
      const isReleased = await ballot.redlock.release(held()).then(
        () => true,
        () => false,
      )
      if (wasLost || vote.noes >= ballot.quorum) return 'already-lost'
      return isReleased ? 'released' : 'unknown'
    })
  }
}

export interface RedlockOptions {
  /**
   * One client for each of an odd number of servers that share nothing: no replicas of each other, no cluster. Made with
   * `redisLockClientOptions`, or the like. They stay the caller's to close.
   */
  readonly nodes: readonly RedlockClient[]
  /** No node is waited for longer. A healthy Redis answers in 1 ms; 50 to 200 are usual. */
  readonly commandBudgetMs: number
  /**
   * The longest TTL that anybody uses on these nodes; 10 s by default. A node that was restarted is out for so long,
   * and so is a cluster that was just started.
   */
  readonly longestTtlMs?: number
  /** No lease is handed out that has less than this left; half of its TTL by default. */
  readonly minValidityMs?: number
  /** In front of each resource's name; `lock:` by default. */
  readonly keyPrefix?: string
  /** A lease is not renewed longer than this; 10 minutes by default. */
  readonly maxHeldMs?: number
  readonly random?: Random
}

/** Ten times what a request's work takes, and a restarted node is missed no longer than it takes to notice. */
const defaultLongestTtlMs = 10_000
/** As for the lock on one Redis: what holds longer hangs. */
const defaultMaxHeldMs = 10 * 60_000
/** As for the lock on one Redis. Full jitter is also what ends split votes: the first to come back finds all nodes free. */
const pollPauses = { baseMs: 10, maxMs: 50 }
/** Each node costs two commands a lock; nine survive the loss of four, and whoever needs more needs consensus. */
const mostNodes = 9

interface Try {
  readonly key: string
  readonly resource: string
  readonly ttlMs: number
  readonly leastMs: number
  readonly signal: AcquireOptions['signal']
}

interface Granted {
  readonly ballot: Ballot
  readonly resource: string
  readonly token: string
  readonly key: string
  readonly ttlMs: number
  readonly sentAtMs: number
  readonly maxHeldMs: number
}

/** The votes on one question, as they come. One timer ends the waiting for all nodes that have not answered. */
class Vote {
  noes = 0
  readonly failures: unknown[] = []
  readonly #budgetMs: number
  readonly #waiting = new Set<(error: unknown) => void>()
  #timer: NodeJS.Timeout | undefined

  constructor(budgetMs: number) {
    this.#budgetMs = budgetMs
  }

  /** Resolves as the package wants it: 1 is a vote for us, 0 one against us. Settles within the budget. */
  cast(answer: Promise<boolean>): Promise<number> {
    this.#timer ??= setTimeout(() => this.#endWaiting(), this.#budgetMs)
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        if (!this.#isFirst(fail)) return
        this.failures.push(error)
        reject(error)
      }
      this.#waiting.add(fail)
      answer.then((isYes) => {
        if (!this.#isFirst(fail)) return
        if (!isYes) this.noes++
        resolve(isYes ? 1 : 0)
      }, fail)
    })
  }

  /** What comes after the waiting has ended does not count. */
  #isFirst(fail: (error: unknown) => void): boolean {
    const isFirst = this.#waiting.delete(fail)
    if (this.#waiting.size === 0) clearTimeout(this.#timer)
    return isFirst
  }

  #endWaiting(): void {
    for (const fail of this.#waiting) fail(new Error(`this Redis took longer than ${this.#budgetMs} ms`))
  }
}

interface Ballot {
  readonly quorum: number
  readonly redlock: Redlock
  /** Counts the votes on the next question. The package puts it to every node before it returns. */
  count(): Vote
  /** From now on, to release is to release, and not to undo. */
  keep(): void
  /** Gives back what was or may have been granted. */
  withdraw(): void
}

/** The package names its scripts by their hashes. It never sees a real one: what is run is decided here. */
const scripts = { acquireScript: () => 'acquire', extendScript: () => 'extend', releaseScript: () => 'release' }
const [acquireSha, extendSha] = ['acquire', 'extend'].map((name) => createHash('sha1').update(name).digest('hex'))

interface BallotOptions {
  readonly key: string
  readonly ttlMs: number
  readonly commandBudgetMs: number
}

function openBallot(nodes: readonly RedlockNode[], options: BallotOptions): Ballot {
  let vote = new Vote(options.commandBudgetMs)
  let isKept = false
  const voters = nodes.map((node) => new Voter(node, options))
  const clients = voters.map(
    (voter): Client => ({
      evalsha(sha, _keys, [, token = '']) {
        if (sha === acquireSha) return vote.cast(voter.grant(token))
        if (sha === extendSha) return vote.cast(voter.extend(token))
        if (isKept) return voter.release(token, vote)
        voter.withdraw()
        return Promise.resolve(0)
      },
      eval: () => Promise.reject(new Error('unused: no script is ever unknown to a voter')),
    }),
  )
  // No retries and no drift of its own: both are by the wall clock.
  const redlock = new Redlock(clients, { retryCount: 0, driftFactor: 0 }, scripts)

  return {
    quorum: Math.floor(nodes.length / 2) + 1,
    redlock,
    count() {
      vote = new Vote(options.commandBudgetMs)
      return vote
    },
    keep() {
      isKept = true
    },
    withdraw() {
      for (const voter of voters) voter.withdraw()
    },
  }
}

/** One node as one acquisition sees it. `false`: the node answered, and it is not ours. */
class Voter {
  readonly #node: RedlockNode
  readonly #key: string
  readonly #ttlMs: number
  /** What this node may hold of ours. */
  #asked: { readonly token: string; readonly untilMs: number } | undefined
  #isWithdrawn = false

  constructor(node: RedlockNode, { key, ttlMs }: BallotOptions) {
    this.#node = node
    this.#key = key
    this.#ttlMs = ttlMs
  }

  grant(token: string): Promise<boolean> {
    const { lookingAt } = this.#node
    return lookingAt === undefined ? this.#set(token) : lookingAt.then(() => this.#set(token))
  }

  async #set(token: string): Promise<boolean> {
    const absence = this.#node.whyAbsent()
    if (absence !== undefined) throw absence
    // Behind the release nothing may be set any more: nobody would give it back.
    if (this.#isWithdrawn) throw new Error('the vote was over before this node could be asked')
    this.#asked = { token, untilMs: performance.now() + this.#ttlMs }
    try {
      const isOurs = (await this.#node.client.set(this.#key, token, 'PX', this.#ttlMs, 'NX')) !== null
      if (!isOurs) this.#asked = undefined
      return isOurs
    } catch (error) {
      // An error that Redis itself answered proves that nothing was set. Everything else may have been, or may still be.
      if (error instanceof ReplyError) this.#asked = undefined
      throw error
    }
  }

  extend(token: string): Promise<boolean> {
    return runScript(this.#node.client, extendScript, this.#key, [token, this.#ttlMs]).then(isOne)
  }

  release(token: string, vote: Vote): Promise<number> {
    this.#isWithdrawn = true
    if (this.#asked === undefined) return vote.cast(Promise.resolve(false))
    const released = vote.cast(runScript(this.#node.client, releaseScript, this.#key, [token]).then(isOne))
    // A renewal that nobody heard of may have lengthened it by up to one TTL.
    released.catch(() => void this.#node.giveBack(this.#key, token, performance.now() + 2 * this.#ttlMs))
    return released
  }

  withdraw(): void {
    if (!this.#isWithdrawn && this.#asked !== undefined) {
      void this.#node.giveBack(this.#key, this.#asked.token, this.#asked.untilMs)
    }
    this.#isWithdrawn = true
  }
}

function isOne(count: unknown): boolean {
  return count === 1
}

function unavailable(cause: Error): LockRefusal {
  return { acquired: false, reason: 'unavailable', cause }
}

function assertNodes({ nodes, commandBudgetMs }: RedlockOptions): void {
  if (nodes.length % 2 === 0) {
    throw new RangeError(
      `Redlock needs an odd number of nodes; these are ${nodes.length}. An even number survives the loss of no more nodes than one fewer, and its votes can split`,
    )
  }
  if (nodes.length > mostNodes)
    throw new RangeError(`Redlock takes at most ${mostNodes} nodes; these are ${nodes.length}`)
  const places = nodes.map(({ options: { host, port, path } }) => path ?? `${host}:${port}`)
  const twice = places.find((place, index) => places.indexOf(place) !== index)
  if (twice !== undefined) {
    throw new RangeError(`${twice} stands in the list of nodes twice: one server has one vote`)
  }
  for (const client of nodes) {
    assertClient(client)
    assertBudget(commandBudgetMs, client)
  }
}

function assertTtl(ttlMs: number, leastMs: number, { commandBudgetMs }: RedlockOptions, longestTtlMs: number): void {
  if (ttlMs > longestTtlMs) {
    throw new RangeError(
      `ttlMs (${ttlMs}) is longer than longestTtlMs (${longestTtlMs}), for which a restarted node is kept out: raise it in every process that uses these nodes`,
    )
  }
  if (leastMs + clockDriftMs(ttlMs) + commandBudgetMs > ttlMs) {
    throw new RangeError(
      `a TTL of ${ttlMs} ms cannot have ${leastMs} ms left after a vote of up to ${commandBudgetMs} ms: lower minValidityMs or commandBudgetMs, or raise ttlMs`,
    )
  }
}
