import { freshDatabase } from '@seatbelt/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Actor, type Explored, explore, type Scenario } from '../src/index.ts'

/** Before anything else: the engine finds what everybody knows, and nothing where it is prevented. */
let database: Awaited<ReturnType<typeof freshDatabase>>
let admin: pg.Client
beforeAll(async () => {
  database = await freshDatabase({ template: 'template0' })
  admin = new pg.Client({ connectionString: database.url })
  await admin.connect()
  await admin.query(`
    CREATE TABLE accounts (world int, owner text, balance int NOT NULL);
    CREATE TABLE names (world int, name text);
    CREATE TABLE guarded_names (world int, name text, UNIQUE (world, name));`)
})
afterAll(async () => {
  await admin.end()
  await database.close()
})

type Run = (client: pg.Client, world: number) => Promise<unknown>

function actor(name: string, run: Run): Actor<number> {
  return {
    name,
    open: async ({ postgres }) => {
      const client = new pg.Client({ connectionString: postgres })
      client.on('error', () => undefined)
      await client.connect()
      return { run: (world) => run(client, world), close: () => client.end() }
    },
  }
}

function scenarioOf(runs: readonly Run[], judge: (world: number) => Promise<string[]>): Scenario<number> {
  return {
    name: 'in plain SQL',
    actors: runs.map((run, at) => actor('abc'[at] ?? '', run)),
    recovery: null,
    afterwards: [],
    prepare: async (world) => {
      await admin.query("INSERT INTO accounts VALUES ($1, 'ann', 100), ($1, 'bob', 100)", [world])
      return world
    },
    expire: async () => undefined,
    flush: async () => undefined,
    judge,
  }
}

let nextNumber = 1
async function exploreAll(
  runs: readonly Run[],
  judge: (world: number) => Promise<string[]>,
  bounds = { preemptions: 2, preemptionsWithFault: null as number | null },
): Promise<Explored> {
  const servers = { postgres: database.url }
  const explored = await explore({ scenario: scenarioOf(runs, judge), servers, bounds, firstNumber: nextNumber })
  nextNumber = explored.nextNumber
  expect(explored.uncertain).toEqual([])
  return explored
}

async function total(world: number): Promise<number> {
  const { rows } = await admin.query<{ sum: number }>(
    'SELECT sum(balance)::int AS sum FROM accounts WHERE world = $1',
    [world],
  )
  return rows[0]?.sum ?? 0
}

const balanceOf = async (client: pg.Client, world: number, owner: string, lock = '') => {
  const text = `SELECT balance FROM accounts WHERE world = $1 AND owner = $2 ${lock}`
  const { rows } = await client.query<{ balance: number }>(text, [world, owner])
  return rows[0]?.balance ?? 0
}
const setBalance = (client: pg.Client, world: number, owner: string, balance: number) =>
  client.query('UPDATE accounts SET balance = $3 WHERE world = $1 AND owner = $2', [world, owner, balance])

async function inTransaction(client: pg.Client, work: () => Promise<unknown>): Promise<unknown> {
  await client.query('BEGIN')
  try {
    const result = await work()
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  }
}

describe('a lost update', () => {
  const deposit =
    (lock: string): Run =>
    (client, world) =>
      inTransaction(client, async () => {
        const balance = await balanceOf(client, world, 'ann', lock)
        await setBalance(client, world, 'ann', balance + 10)
      })
  const judge = async (world: number) => ((await total(world)) === 220 ? [] : ['a deposit was lost'])

  it('is found without a lock', async () => {
    const { shortest, schedules, violating } = await exploreAll([deposit(''), deposit('')], judge)
    expect(shortest?.violations).toEqual(['a deposit was lost'])
    expect(shortest?.schedule.deviations).toHaveLength(1)
    expect(violating).toBeLessThan(schedules)
  })

  it('is found at random beyond the bounds, by the same schedule for the same seed', async () => {
    const options = {
      scenario: scenarioOf([deposit(''), deposit('')], judge),
      servers: { postgres: database.url },
      bounds: { preemptions: 0, preemptionsWithFault: null },
    }
    const random = { firstSeed: 1, schedules: 20, changes: 1 }
    const without = await explore({ ...options, firstNumber: nextNumber })
    const first = await explore({ ...options, random, firstNumber: without.nextNumber })
    const second = await explore({ ...options, random, firstNumber: first.nextNumber })
    nextNumber = second.nextNumber
    expect(without.violating).toBe(0)
    expect(first).toMatchObject({ schedules: 22, uncertain: [], isComplete: true })
    expect(first.shortest?.violations).toEqual(['a deposit was lost'])
    expect(second.shortest?.hash).toBe(first.shortest?.hash)
  })

  it('is not found with FOR UPDATE', async () => {
    const { violating, isComplete } = await exploreAll([deposit('FOR UPDATE'), deposit('FOR UPDATE')], judge)
    expect({ violating, isComplete }).toEqual({ violating: 0, isComplete: true })
  })
})

describe('write skew', () => {
  const withdraw =
    (owner: string, lock: string): Run =>
    (client, world) =>
      inTransaction(client, async () => {
        if (lock) await client.query('SELECT pg_advisory_xact_lock($1)', [world])
        const both = (await balanceOf(client, world, 'ann')) + (await balanceOf(client, world, 'bob'))
        if (both >= 150) await setBalance(client, world, owner, (await balanceOf(client, world, owner)) - 150)
      })
  const judge = async (world: number) => ((await total(world)) >= 0 ? [] : ['both were spent'])

  it('is found without a lock', async () => {
    const { shortest } = await exploreAll([withdraw('ann', ''), withdraw('bob', '')], judge)
    expect(shortest?.violations).toEqual(['both were spent'])
  })

  it('is not found with an advisory lock', async () => {
    const { violating } = await exploreAll([withdraw('ann', 'x'), withdraw('bob', 'x')], judge)
    expect(violating).toBe(0)
  })
})

describe('check, then insert', () => {
  const register =
    (table: string): Run =>
    async (client, world) => {
      const { rowCount } = await client.query(`SELECT FROM ${table} WHERE world = $1 AND name = 'ann'`, [world])
      if (rowCount === 0) await client.query(`INSERT INTO ${table} VALUES ($1, 'ann')`, [world])
    }
  const judgeOf = (table: string) => async (world: number) => {
    const { rowCount } = await admin.query(`SELECT FROM ${table} WHERE world = $1`, [world])
    return rowCount === 1 ? [] : [`${rowCount} rows`]
  }

  it('is found without a constraint', async () => {
    const { shortest } = await exploreAll([register('names'), register('names')], judgeOf('names'))
    expect(shortest?.violations).toEqual(['2 rows'])
  })

  it('is not found with a unique index', async () => {
    const explored = await exploreAll([register('guarded_names'), register('guarded_names')], judgeOf('guarded_names'))
    expect(explored.violating).toBe(0)
  })
})

describe('the schedules', () => {
  const reading =
    (steps: number): Run =>
    async (client) => {
      for (let step = 0; step < steps; step += 1) await client.query('SELECT 1')
    }
  const nothing = async () => []

  it.each([
    [2, 3],
    [4, 5],
  ])('of two actors with %i and %i steps are as many as the formula says', async (n, m) => {
    const one = (await exploreAll([reading(n), reading(m)], nothing, { preemptions: 1, preemptionsWithFault: null }))
      .schedules
    const two = (await exploreAll([reading(n), reading(m)], nothing)).schedules
    // Either begins. One preemption: after each step of the first but its last. Two: after each step of both.
    expect(one).toBe(2 + (n - 1) + (m - 1))
    expect(two).toBe(one + 2 * (n - 1) * (m - 1))
  })

  it('of three actors are as many as the formula says', async () => {
    const steps = [2, 3, 2]
    const bounds = { preemptions: 1, preemptionsWithFault: null }
    const { schedules } = await exploreAll(steps.map(reading), nothing, bounds)
    // Six orders. One preemption cuts an actor in two parts, and six orders have another actor between them.
    expect(schedules).toBe(6 + 6 * steps.reduce((cuts, count) => cuts + count - 1, 0))
  })

  it.each([
    ['flush', 0],
    ['pause', 0],
    // Also before the first message of each actor. Before another message, it is the crash after the message before.
    ['crash', 2],
  ] as const)('with one %s have it at each step', async (fault, further) => {
    const [n, m] = [2, 3]
    const scenario = scenarioOf([reading(n), reading(m)], nothing)
    const explored = await explore({
      scenario,
      servers: { postgres: database.url },
      bounds: { preemptions: 0, preemptionsWithFault: 0 },
      faults: [fault],
      firstNumber: nextNumber,
    })
    nextNumber = explored.nextNumber
    expect(explored.uncertain).toEqual([])
    expect(explored.schedules).toBe(2 + 2 * (n + m + further))
  })

  it('with a time-out go on with the actor that waited, before the holder does anything', async () => {
    const update: Run = (client, world) =>
      inTransaction(client, async () => {
        await setBalance(client, world, 'ann', 1)
        await client.query('SELECT 1')
      })
    const orders = new Set<string>()
    const explored = await explore({
      scenario: scenarioOf([update, update], nothing),
      servers: { postgres: database.url },
      bounds: { preemptions: 2, preemptionsWithFault: 2 },
      faults: ['time-out'],
      firstNumber: nextNumber,
      onExecution: ({ schedule, steps }) => {
        const timeOut = schedule.deviations.find(({ kind }) => kind === 'time-out')
        if (timeOut) orders.add(steps[timeOut.at]?.actor === Reflect.get(timeOut, 'of') ? 'waiter' : 'holder')
      },
    })
    nextNumber = explored.nextNumber
    expect(explored.uncertain).toEqual([])
    expect([...orders].sort()).toEqual(['holder', 'waiter'])
  })

  it('of a deadlock include each victim', async () => {
    const transfer =
      (from: string, to: string): Run =>
      (client, world) =>
        inTransaction(client, async () => {
          await setBalance(client, world, from, 1)
          await setBalance(client, world, to, 2)
        })
    const endings = new Set<string>()
    const scenario = scenarioOf([transfer('ann', 'bob'), transfer('bob', 'ann')], nothing)
    const explored = await explore({
      scenario,
      servers: { postgres: database.url },
      bounds: { preemptions: 1, preemptionsWithFault: null },
      firstNumber: nextNumber,
      onExecution: (execution) => void endings.add(JSON.stringify(execution.endings)),
    })
    nextNumber = explored.nextNumber
    expect([...endings].filter((ending) => ending.includes('deadlock') || ending.includes('cancel')).length).toBe(2)
  })
})
