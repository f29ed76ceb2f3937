import { eventually, startLeakCheck } from '@seatbelt/testing'
import fc from 'fast-check'
import { ReplyError } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { createRedlock, type RedlockClient, redisLockClientOptions } from '../src/index.ts'

/** What a node may do when it is asked for the lock. */
const votes = ['yes', 'no', 'error', 'hung', 'late'] as const
type Vote = (typeof votes)[number]

const commandBudgetMs = 25
/** So long that nothing is undone by expiry, and validity is no question here. */
const ttlMs = 60_000
const key = 'lock:order:1'

const leakCheck = startLeakCheck()
afterAll(() => leakCheck.assertNoLeaks())

describe.each([1, 3, 5, 7])('a vote of %i nodes', (count) => {
  const quorum = (count + 1) / 2

  it('is for us exactly when a majority says yes in time, always ends, and leaves nothing behind', async () => {
    for (const patterns of batches(everyPattern(count))) await Promise.all(patterns.map((pattern) => holdVote(pattern)))
  }, 60_000)

  it('does so in whatever order the answers come', async () => {
    const patterns = fc.sample(
      fc.array(fc.tuple(fc.constantFrom(...votes), fc.nat(20)), { minLength: count, maxLength: count }),
      {
        numRuns: 300,
        seed: 5,
      },
    )
    await Promise.all(
      patterns.map((pattern) =>
        holdVote(
          pattern.map(([vote]) => vote),
          pattern.map(([, hops]) => hops),
        ),
      ),
    )
  })

  it('gives the lock to at most one of three contenders, whatever the nodes do', async () => {
    const plans = fc.sample(
      fc.array(
        fc.array(fc.tuple(fc.constantFrom('yes', 'yes', 'yes', ...votes), fc.nat(20)), {
          minLength: count,
          maxLength: count,
        }),
        {
          minLength: 3,
          maxLength: 3,
        },
      ),
      { numRuns: 200, seed: 6 },
    )
    const winners = await Promise.all(plans.map(contend))
    expect(winners.filter((number) => number > 1)).toEqual([])
    // Were nobody ever granted anything, this would have shown nothing.
    expect(winners.filter((number) => number === 1).length).toBeGreaterThan(20)
  })

  async function holdVote(pattern: readonly Vote[], hops: readonly number[] = []): Promise<void> {
    const [voteIsOver, endVote] = signalled()
    const nodes = pattern.map((vote, n) => scriptedNode({ votes: [vote], hops: hops[n] ?? 0, voteIsOver }))
    const lock = createRedlock({ nodes: nodes.map(({ client }) => client), commandBudgetMs, longestTtlMs: ttlMs })
    const told = `${pattern}`
    const result = await lock.acquire('order:1', { ttlMs })
    endVote()
    const yeses = number(pattern, 'yes')
    expect(result.acquired, told).toBe(yeses >= quorum)
    if (result.acquired) {
      expect(nodes.filter((node) => node.holder === result.lease.token).length, told).toBeGreaterThanOrEqual(quorum)
      expect(await result.lease.release(), told).toBe('released')
    } else {
      expect(possibleReasons(pattern), told).toContain(result.reason)
    }
    await eventually(
      `nothing is left on any node: ${told}`,
      () => nodes.every(({ holder }) => holder === undefined || holder === 'somebody else'),
      { boundMs: 8_000 },
    )
    for (const node of nodes) node.end()
  }

  async function contend(plan: readonly (readonly (readonly [Vote, number])[])[]): Promise<number> {
    const [voteIsOver, endVote] = signalled()
    const nodes = Array.from({ length: count }, (_, n) =>
      scriptedNode({
        votes: plan.map((votesOfOne) => votesOfOne[n]?.[0] ?? 'yes'),
        hops: plan[0]?.[n]?.[1] ?? 0,
        voteIsOver,
      }),
    )
    const lock = createRedlock({ nodes: nodes.map(({ client }) => client), commandBudgetMs, longestTtlMs: ttlMs })
    const results = await Promise.all(plan.map(() => lock.acquire('order:1', { ttlMs })))
    endVote()
    const leases = results.flatMap((result) => (result.acquired ? [result.lease] : []))
    for (const lease of leases) await lease.release()
    for (const node of nodes) node.end()
    return leases.length
  }

  /** Contended: a majority could have answered. Unavailable: it did not. In between it depends on who was first. */
  function possibleReasons(pattern: readonly Vote[]): string[] {
    const failedAtOnce = number(pattern, 'error')
    const failed = failedAtOnce + number(pattern, 'hung') + number(pattern, 'late')
    if (failedAtOnce >= quorum) return ['unavailable']
    return failed < quorum ? ['contended'] : ['contended', 'unavailable']
  }
})

it('a lease is not handed out when less than the asked minimum is left after the vote', async () => {
  const nodes = Array.from({ length: 3 }, () => {
    const node = scriptedNode({ votes: ['yes', 'yes'], hops: 0, voteIsOver: Promise.resolve() })
    const { set } = node.client
    // The process stands still between asking and reading: the answers say yes, but to a question of long ago.
    node.client.set = ((...args: Parameters<typeof set>) => {
      blockMs(20)
      return set(...args)
    }) as typeof set
    return node
  })
  const clients = nodes.map(({ client }) => client)
  const strict = createRedlock({ nodes: clients, commandBudgetMs, longestTtlMs: ttlMs, minValidityMs: 950 })
  expect(await strict.acquire('order:1', { ttlMs: 1_000 })).toMatchObject({ acquired: false, reason: 'unavailable' })
  await eventually('it is given back', () => nodes.every(({ holder }) => holder === undefined))
  const lenient = createRedlock({ nodes: clients, commandBudgetMs, longestTtlMs: ttlMs, minValidityMs: 500 })
  const granted = await lenient.acquire('order:1', { ttlMs: 1_000 })
  if (!granted.acquired) throw new Error(granted.reason)
  expect(granted.lease.deadline - performance.now()).toBeGreaterThan(500)
  await granted.lease.release()
  for (const node of nodes) node.end()
})

it('a vote that is over leaves no timer, however long its budget', async () => {
  const timers = () => leakCheck.open().filter((line) => line.includes('/locks/src/'))
  await eventually('those of the tests before are gone', () => timers().length === 0)
  const nodes = Array.from({ length: 3 }, () =>
    scriptedNode({ votes: ['yes'], hops: 0, voteIsOver: Promise.resolve() }),
  )
  const lock = createRedlock({ nodes: nodes.map(({ client }) => client), commandBudgetMs: 1_000, longestTtlMs: ttlMs })
  const granted = await lock.acquire('order:1', { ttlMs })
  if (!granted.acquired) throw new Error(granted.reason)
  expect(timers()).toHaveLength(1)
  expect(await granted.lease.release()).toBe('released')
  await eventually('no timer is left', () => timers().length === 0, { boundMs: 900 })
  for (const node of nodes) node.end()
})

it('a node that is still being looked at when the vote is over is not asked any more: nobody would give it back', async () => {
  const [isKnown, tell] = signalled()
  const nodes = (['no', 'no', 'yes'] as const).map((vote, n) =>
    scriptedNode({ votes: [vote], hops: 0, voteIsOver: isKnown, ...(n === 2 ? { isKnown } : {}) }),
  )
  const lock = createRedlock({ nodes: nodes.map(({ client }) => client), commandBudgetMs, longestTtlMs: ttlMs })
  expect(await lock.acquire('order:1', { ttlMs })).toMatchObject({ reason: 'contended' })
  tell()
  await turns(100)
  expect(nodes[2]?.asked).toBe(0)
  expect(await lock.acquire('order:1', { ttlMs })).toMatchObject({ reason: 'contended' })
  expect(nodes[2]?.asked).toBe(1)
  await eventually('it is given back', () => nodes[2]?.holder === undefined)
  for (const node of nodes) node.end()
})

function number(pattern: readonly Vote[], vote: Vote): number {
  return pattern.filter((each) => each === vote).length
}

/** Of seven nodes there are 78,125 patterns, but nodes are alike: 330 remain, and their order is drawn in the next test. */
function everyPattern(count: number): Vote[][] {
  let patterns: Vote[][] = [[]]
  for (let n = 0; n < count; n++) patterns = patterns.flatMap((pattern) => votes.map((vote) => [...pattern, vote]))
  return count < 7
    ? patterns
    : patterns.filter((pattern) =>
        pattern.every((vote, n) => votes.indexOf(vote) >= votes.indexOf(pattern[n - 1] ?? 'yes')),
      )
}

function batches<T>(all: readonly T[], size = 400): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, n) => all.slice(n * size, (n + 1) * size))
}

interface NodeScript {
  readonly votes: readonly Vote[]
  readonly hops: number
  /** When late answers come. */
  readonly voteIsOver: Promise<void>
  /** When it tells how long it has been up. */
  readonly isKnown?: Promise<void>
}

interface ScriptedNode {
  readonly client: RedlockClient
  readonly holder: string | undefined
  readonly asked: number
  end(): void
}

/**
 * A node that holds one key and votes by its script: the n-th contender gets the n-th vote. A vote that is hung or late has
 * its effect all the same; that is what makes it dangerous. Answers come after `hops` turns of the microtask queue.
 */
function scriptedNode({ votes: script, hops, voteIsOver, isKnown }: NodeScript): ScriptedNode {
  let holder: string | undefined
  let asked = 0
  let status = 'ready'
  let line: Promise<unknown> = Promise.resolve()
  const client = {
    get status() {
      return status
    },
    options: { ...redisLockClientOptions, host: 'node', port: nextPort++ },
    on: () => client,
    async info() {
      await isKnown
      return `run_id:${client.options.port}\r\nuptime_in_seconds:1000000\r\n`
    },
    async set(_key: string, token: string) {
      const vote = script[asked++] ?? 'no'
      const isOurs = await inOrder(() => {
        if (vote === 'no') holder ??= 'somebody else'
        if (vote !== 'error') holder ??= token
        return holder === token
      })
      if (vote === 'error') throw new ReplyError('LOADING Redis is loading the dataset in memory')
      if (vote === 'hung') return new Promise(() => {})
      if (vote === 'late') await voteIsOver
      return isOurs ? 'OK' : null
    },
    evalsha: (_sha: string, _keys: number, name: string, token: string) => inOrder(() => remove(name, token)),
    eval: (_lua: string, _keys: number, name: string, token: string) => inOrder(() => remove(name, token)),
  }
  return {
    client: client as unknown as RedlockClient,
    get holder() {
      return holder
    },
    get asked() {
      return asked
    },
    end() {
      status = 'end'
    },
  }

  /** As on a connection: nothing overtakes what was sent before. */
  function inOrder<T>(effect: () => T): Promise<T> {
    const done = line.then(() => turns(hops)).then(effect)
    line = done
    return done
  }

  function remove(name: string, token: string): number {
    if (holder !== token || name !== key) return 0
    holder = undefined
    return 1
  }
}

let nextPort = 1

function signalled(): [Promise<void>, () => void] {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return [opened, open]
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await undefined
}

function blockMs(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}
