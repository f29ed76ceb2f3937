import { createHash } from 'node:crypto'
import { ReplyError } from 'ioredis'
import Redlock, { type Client, Lock as PackageLock } from 'redlock'
import type { Random } from './backoff.ts'
import { compareAndDelete } from './compare-and-delete.ts'
import { clockDriftMs, Heartbeat } from './heartbeat.ts'
import { HeldLease } from './held-lease.ts'
import {
  type AcquireOptions,
  type Acquisition,
  assertResource,
  assertTimes,
  type Lock,
  type LockRefusal,
  type ReleaseOutcome,
} from './lock.ts'
import { pollUntilGranted } from './poll.ts'
import { assertBudget, assertClient } from './redis-lock.ts'
import { extendScript, runScript } from './redis-scripts.ts'
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
 * with a majority, the decision to undo a failed try. One Redlock serves all acquisitions: what it takes for the name of
 * a resource and hands on to each client is the question of one acquisition (`Question`), and its clients are the nodes,
 * who answer it. They harden it from outside:
 * - it waits for ever for a node that hangs, and an even split never settles: here the caller waits for the budget and
 *   no longer, and the number of nodes is odd, so one side always has a majority;
 * - it resends a script that a fresh node does not know, so that an acquisition can overtake its own undoing and leave
 *   a lock that nobody holds: here `SET NX PX` does it, one command that needs no script;
 * - it undoes a failed try with a release that may be lost, while the caller waits: here it is repeated in the
 *   background.
 *
 * **What had to be replaced**, because it cannot be changed from outside: `using` (it renews by timers on the wall
 * clock and fires its signal after the lock has expired, 1.5 s with default retries: here `heartbeat.ts`); its validity
 * (also by the wall clock, never checked, so a lock can be handed out that is over: here the monotonic clock, from
 * before the first command was sent); its retries (they cannot be aborted); its one `ExecutionError` for contention and
 * for outage, whose reasons are known only when the slowest node has answered (here the question counts the refusals
 * too, as they come); and releasing, which throws when the lock has expired.
 */
export function createRedlock(options: RedlockOptions): Lock {
  const { commandBudgetMs, longestTtlMs = defaultLongestTtlMs, minValidityMs, random = Math.random } = options
  const { keyPrefix = 'lock:', maxHeldMs = defaultMaxHeldMs } = options
  assertNodes(options)
  const minTtlMs = 3 * commandBudgetMs
  const pauses = { ...pollPauses, random }
  assertTimes({ ttlMs: longestTtlMs }, minTtlMs)
  const rejoinDelayMs = longestTtlMs + clockDriftMs(longestTtlMs)
  const nodes = watchNodes(options.nodes, { rejoinDelayMs, commandBudgetMs })
  const quorum = Math.floor(nodes.length / 2) + 1
  const redlock = createPackageRedlock(nodes)

  return {
    strategy: 'redlock',
    async acquire(resource, acquireOptions) {
      assertResource(resource)
      assertTimes(acquireOptions, minTtlMs)
      const { ttlMs, signal } = acquireOptions
      const leastMs = minValidityMs ?? ttlMs / 2
      assertTtl(ttlMs, leastMs, options, longestTtlMs)
      const key = keyPrefix + resource
      return await pollUntilGranted(acquireOptions, pauses, () => tryOnce({ key, resource, ttlMs, leastMs, signal }))
    },
  }

  async function tryOnce({ key, resource, ttlMs, leastMs, signal }: Try): Promise<Acquisition | 'contended'> {
    const sentAtMs = performance.now()
    const ballot = new Ballot(nodes, key, ttlMs)
    const question = new Question(ballot, 'grant')
    const asked = redlock.acquire([question], ttlMs)
    // Made while the nodes are at it: then it costs no time.
    const heartbeat = createHeartbeat(ballot, resource, sentAtMs)
    const answer = await withinBudget(asked, commandBudgetMs, signal)

    if (answer.kind === 'answered') {
      const validForMs = sentAtMs + ttlMs - clockDriftMs(ttlMs) - performance.now()
      if (validForMs >= leastMs) {
        heartbeat.start()
        return {
          acquired: true,
          lease: new HeldLease(resource, ballot.token, heartbeat, () => release(ballot, heartbeat)),
        }
      }
      ballot.withdraw()
      return unavailable(new Error(`${validForMs} ms were left when the votes were in, and ${leastMs} were asked for`))
    }
    ballot.withdraw()
    if (answer.kind === 'aborted') return { acquired: false, reason: 'aborted' }
    if (answer.kind === 'late') question.endWaiting(commandBudgetMs)
    if (question.failures.length < quorum) return 'contended'
    return unavailable(
      new AggregateError(question.failures, `${question.failures.length} of ${nodes.length} nodes did not vote`),
    )
  }

  function createHeartbeat(ballot: Ballot, resource: string, sentAtMs: number): Heartbeat {
    const { ttlMs } = ballot
    const times = { ttlMs, sentAtMs, attemptTimeoutMs: commandBudgetMs, maxHeldMs }
    return new Heartbeat(resource, times, async () => {
      const question = new Question(ballot, 'extend')
      try {
        await redlock.extend(lockOf(question), ttlMs)
        return true
      } catch (error) {
        // Only a majority that denies it proves that it is lost. Nodes that do not answer may still have it.
        if (question.noes >= quorum) return false
        throw error
      }
    })
  }

  async function release(ballot: Ballot, heartbeat: Heartbeat): Promise<ReleaseOutcome> {
    const wasLost = heartbeat.isLost()
    const question = new Question(ballot, 'release')
    const asked = redlock.release(lockOf(question))
    heartbeat.stop()
    const answer = await withinBudget(asked, commandBudgetMs)
    if (wasLost || question.noes >= quorum) return 'already-lost'
    return answer.kind === 'answered' ? 'released' : 'unknown'
  }

  /** Its own expiry is by the wall clock, and it refuses what seems to be over; whether it is over, the heartbeat knows. */
  function lockOf(question: Question): PackageLock<Question> {
    return new PackageLock(redlock, [question], question.ballot.token, [], Number.POSITIVE_INFINITY)
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

/** The package names its scripts by their hashes. It never sees a real one: what is run is decided by the question. */
const scripts = { acquireScript: () => 'acquire', extendScript: () => 'extend', releaseScript: () => 'release' }
const releaseSha = createHash('sha1').update('release').digest('hex')

function createPackageRedlock(nodes: readonly RedlockNode[]): Redlock<Question> {
  const clients = nodes.map(
    (node, n): Client<Question> => ({
      evalsha: (sha, _keys, [question, token]) =>
        sha === releaseSha && question.what === 'grant' ? question.undo() : question.put(node, n, token),
      eval: () => Promise.reject(new Error('unused: no script is ever unknown to a node')),
    }),
  )
  // No retries and no drift of its own: both are by the wall clock.
  return new Redlock(clients, { retryCount: 0, driftFactor: 0 }, scripts)
}

/** What one acquisition asks all nodes, and who has refused so far. */
class Question {
  readonly ballot: Ballot
  readonly what: 'grant' | 'extend' | 'release'
  noes = 0
  readonly failures: unknown[] = []
  #unanswered: number

  constructor(ballot: Ballot, what: Question['what']) {
    this.ballot = ballot
    this.what = what
    this.#unanswered = ballot.nodes.length
  }

  /** Resolves as the package wants it: 1 is a vote for us, 0 one against us. */
  put(node: RedlockNode, n: number, token: string): Promise<number> {
    return this.ballot[this.what](node, n, token).then(
      (answer) => {
        this.#unanswered--
        if (answer !== null && answer !== false) return 1
        this.noes++
        if (this.what === 'grant') this.ballot.noteAbsent(n)
        return 0
      },
      (error: unknown) => {
        this.#unanswered--
        this.failures.push(error)
        if (this.what === 'release') this.ballot.giveBackLater(node)
        // An error that Redis itself answered proves that nothing was set. Everything else may have been, or may still be.
        else if (this.what === 'grant' && error instanceof ReplyError) this.ballot.noteAbsent(n)
        throw error
      },
    )
  }

  /** The package gives up. Nobody waits for what happens then, so it is told at once that it has happened. */
  undo(): Promise<number> {
    this.ballot.withdraw()
    return undone
  }

  /** Who has not answered by now has not voted. */
  endWaiting(budgetMs: number): void {
    while (this.#unanswered-- > 0) this.failures.push(new Error(`this Redis took longer than ${budgetMs} ms`))
  }
}

const undone = Promise.resolve(1)
const nothingToRelease = Promise.resolve(false)

/** One acquisition, and what each node may hold of it. */
class Ballot {
  readonly nodes: readonly RedlockNode[]
  readonly ttlMs: number
  /** The package makes it, and names it with the first question. */
  token = ''
  readonly #key: string
  /** Until when a node may hold it; 0 where it does not. */
  readonly #untilMs: number[]
  #isOver = false

  constructor(nodes: readonly RedlockNode[], key: string, ttlMs: number) {
    this.nodes = nodes
    this.ttlMs = ttlMs
    this.#key = key
    this.#untilMs = nodes.map(() => 0)
  }

  /** `null`: somebody else has it. */
  grant(node: RedlockNode, n: number, token: string): Promise<string | null> {
    this.token = token
    const { lookingAt } = node
    return lookingAt === undefined ? this.#set(node, n, token) : lookingAt.then(() => this.#set(node, n, token))
  }

  #set(node: RedlockNode, n: number, token: string): Promise<string | null> {
    const absence = node.whyAbsent()
    if (absence !== undefined) return Promise.reject(absence)
    // Behind the release nothing may be set any more: nobody would give it back.
    if (this.#isOver) return Promise.reject(new Error('the vote was over before this node could be asked'))
    this.#untilMs[n] = performance.now() + this.ttlMs
    node.gather()
    return node.client.set(this.#key, token, 'PX', this.ttlMs, 'NX')
  }

  extend({ client, gather }: RedlockNode, _n: number, token: string): Promise<boolean> {
    gather()
    return runScript(client, extendScript, this.#key, token, this.ttlMs)
  }

  release({ client, gather }: RedlockNode, n: number, token: string): Promise<boolean> {
    this.#isOver = true
    if (this.#untilMs[n] === 0) return nothingToRelease
    gather()
    return compareAndDelete(client, this.#key, token)
  }

  /** The node has answered that it holds nothing of ours. */
  noteAbsent(n: number): void {
    this.#untilMs[n] = 0
  }

  /** A renewal that nobody heard of may have lengthened it by up to one TTL. */
  giveBackLater({ giveBack }: RedlockNode): void {
    void giveBack(this.#key, this.token, performance.now() + 2 * this.ttlMs)
  }

  /** Gives back what was or may have been granted. */
  withdraw(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.nodes.forEach(({ giveBack }, n) => {
      const untilMs = this.#untilMs[n] ?? 0
      if (untilMs > 0) void giveBack(this.#key, this.token, untilMs)
    })
  }
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
