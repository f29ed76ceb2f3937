import { type Direction, eventually } from '@seatbelt/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CommitUnknown, type Database, DatabaseUnavailable, GuardFailed, sql, type Tx } from '../src/index.ts'
import { type Bench, guard, insertAccount, lockReadAndWrite, startBench } from './transaction-support.ts'

let bench: Bench
let database: Database
beforeAll(async () => {
  bench = await startBench()
  database = bench.open()
})
afterAll(() => bench?.close())

/** Gives the pool an open connection that has prepared nothing, so that each run sends the same messages. */
async function reconnect(): Promise<void> {
  bench.proxy.cut()
  await bench.sessionsEnd()
  await eventually('the pool has noticed and connected', async () => {
    await database.transaction(async () => 'connected')
    return bench.proxy.connections === 1
  })
}

type Work = (tx: Tx, name: string) => Promise<string>

async function countMessages(work: Work): Promise<Record<Direction, number>> {
  await reconnect()
  const { clientMessages, serverMessages } = bench.proxy
  await database.transaction((tx) => work(tx, 'counted')).catch(() => 'failed')
  return {
    'to-server': bench.proxy.clientMessages - clientMessages,
    'to-client': bench.proxy.serverMessages - serverMessages,
  }
}

interface Outcome {
  readonly after: number
  readonly answer: 'committed' | 'unavailable' | 'unknown' | 'guard-failed'
  readonly isCommitted: boolean
}

/** Runs `work` once for each number of messages after which the connection can end. */
async function endAfterEach(direction: Direction, label: string, work: Work, upTo?: number): Promise<Outcome[]> {
  const { [direction]: counted } = await countMessages(work)
  const messages = upTo ?? counted
  const outcomes: Outcome[] = []
  for (let after = 0; after <= messages; after++) {
    const name = `${label} ${direction} ${after}`
    await reconnect()
    const cancel = bench.proxy.endAfter(direction, after)
    outcomes.push(await outcomeOf(after, name, work, cancel))
  }
  return outcomes
}

async function outcomeOf(after: number, name: string, work: Work, cancelEnd = () => false): Promise<Outcome> {
  const answer = await database.transaction((tx) => work(tx, name)).then(() => 'committed' as const, classOf)
  const isEnded = cancelEnd()
  if (answer === 'unavailable' || answer === 'unknown') await bench.sessionsEnd()
  // An end behind the last answer fails nothing here. The pool must read it before the next transaction begins.
  if (answer === 'committed' && isEnded)
    await eventually('the pool has closed its side', () => bench.proxy.connections === 0)
  const isCommitted = (await bench.names()).includes(name)
  const next = `next of ${name}`
  await database.transaction((tx) => lockReadAndWrite(tx, next))
  const names = await bench.names()
  expect(names, `${name}: the next transaction`).toContain(next)
  expect(names.includes(name), `${name}: nothing was left open for the next transaction`).toBe(isCommitted)
  return { after, answer, isCommitted }
}

function classOf(fault: unknown): Outcome['answer'] {
  if (fault instanceof GuardFailed) return 'guard-failed'
  if (fault instanceof DatabaseUnavailable) return 'unavailable'
  if (!(fault instanceof CommitUnknown)) throw fault
  expect(fault.result).toMatch(/to-(server|client)|held/)
  return 'unknown'
}

/** Numbers of messages, by what the caller read and what was true. */
function grouped(outcomes: readonly Outcome[]): Record<string, number[]> {
  const groups: Record<string, number[]> = {}
  for (const { after, answer, isCommitted } of outcomes) {
    const group = `${answer}, ${isCommitted ? 'committed' : 'rolled back'}`
    groups[group] = [...(groups[group] ?? []), after]
  }
  return groups
}

const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, at) => first + at)

describe('a connection that ends after any number of messages', () => {
  // BEGIN is one message; the lock and the read are Parse, Bind, Describe, Execute and Sync each.
  const reads = 1 + 2 * 5
  // CommandComplete and ReadyForQuery; then ParseComplete, BindComplete, RowDescription, DataRow and these two.
  const answersToReads = 2 + 2 * 6

  it('of the client: unavailable means rolled back, and unknown means either', async () => {
    const outcomes = await endAfterEach('to-server', 'committing', lockReadAndWrite)
    // Two writes of five messages each, and COMMIT.
    const all = reads + 2 * 5 + 1
    expect(grouped(outcomes)).toEqual({
      'unavailable, rolled back': from(0, reads),
      'unknown, rolled back': from(reads + 1, all - 1),
      'unknown, committed': [all],
    })
  }, 120_000)

  it('of the server: unavailable means rolled back, and an answer means committed', async () => {
    const outcomes = await endAfterEach('to-client', 'committing', lockReadAndWrite)
    // The insert has NoData in the place of a row. COMMIT has two messages.
    const all = answersToReads + 5 + 6 + 2
    const groups = grouped(outcomes.filter(({ after }) => after !== answersToReads))
    expect(groups).toEqual({
      'unavailable, rolled back': from(0, answersToReads - 1),
      'unknown, committed': from(answersToReads + 1, all - 1),
      'committed, committed': [all],
    })
    // The writes leave while the end of the connection arrives, so either class is right.
    const between = outcomes.find(({ after }) => after === answersToReads)
    expect(between).toMatchObject({ isCommitted: false, answer: expect.stringMatching(/^(unavailable|unknown)$/) })
  }, 120_000)

  const failing: Work = async (tx, name) => {
    await tx.read(sql`SELECT ${1}::int`)
    tx.write(insertAccount(name))
    tx.write(guard(false, 'always-fails'))
    return name
  }

  it.each(['to-server', 'to-client'] as const)(
    'a failed guard never commits (%s)',
    async (direction) => {
      // The messages of the first run. The guard fails in the others as well.
      const outcomes = await endAfterEach(direction, 'failing', failing, 18)
      expect(outcomes.filter(({ isCommitted }) => isCommitted)).toEqual([])
      expect(outcomes.filter(({ answer }) => answer === 'committed')).toEqual([])
    },
    120_000,
  )

  it('a transaction that wrote nothing is unavailable, never unknown', async () => {
    const reading: Work = async (tx, name) => {
      await tx.read(sql`SELECT ${1}::int`)
      return name
    }
    for (const direction of ['to-server', 'to-client'] as const) {
      const outcomes = await endAfterEach(direction, 'reading', reading)
      expect(outcomes.filter(({ answer }) => answer === 'unknown')).toEqual([])
    }
  }, 120_000)

  it('a write whose rows are awaited, and a rollback on purpose, leave nothing', async () => {
    const rolledBack: Work = async (tx, name) => {
      await tx.writeReturning(insertAccount(name))
      throw new DatabaseUnavailable('thrown by the work')
    }
    for (const direction of ['to-server', 'to-client'] as const) {
      const outcomes = await endAfterEach(direction, 'rolled back', rolledBack)
      expect(grouped(outcomes)).toEqual({ 'unavailable, rolled back': outcomes.map(({ after }) => after) })
    }
  }, 120_000)
})

describe('a connection that is reset', () => {
  it('at any message, leaves the answer and the database in agreement', async () => {
    const { 'to-server': messages } = await countMessages(lockReadAndWrite)
    for (let nth = 1; nth <= messages; nth++) {
      await reconnect()
      const stopped = bench.proxy.intercept({ matches: () => true, nth, at: 'request' })
      const outcome = outcomeOf(nth, `to-server, reset at ${nth}`, lockReadAndWrite)
      await stopped.reached()
      stopped.cut()
      const { answer, isCommitted } = await outcome
      expect({ answer, isCommitted }).toEqual({ answer: nth > 11 ? 'unknown' : 'unavailable', isCommitted: false })
    }
  }, 120_000)
})

describe('a connection that an administrator ends', () => {
  it('inside a transaction leaves nothing, and the pool goes on with another one', async () => {
    const broken = database.transaction(async (tx) => {
      await tx.writeReturning(insertAccount('never'))
      await bench.terminateSessions()
      await tx.read(sql`SELECT 1`)
    })
    await expect(broken).rejects.toMatchObject({ code: 'database-unavailable' })
    expect(await database.transaction((tx) => lockReadAndWrite(tx, 'well again'))).toBe('well again')
    expect(await bench.names()).not.toContain('never')
  })

  it('while nothing uses it is not used again', async () => {
    await reconnect()
    await bench.terminateSessions()
    await eventually('the pool has noticed', () => bench.proxy.connections === 0)
    expect(await database.transaction((tx) => lockReadAndWrite(tx, 'used again'))).toBe('used again')
  })
})

describe('a server that stands still', () => {
  /** The host of the server was paused: its own clocks, and with them its own bounds, stood still as well. */
  const unbounded = () => {
    const url = new URL(bench.proxy.through(bench.url))
    url.searchParams.set('statement_timeout', '0')
    url.searchParams.set('idle_in_transaction_session_timeout', '0')
    return bench.open({ url: url.href, silenceTimeoutMs: 200 })
  }

  it('never lets the next transaction commit what it did not roll back in time', async () => {
    const paused = unbounded()
    const second = bench.proxy.intercept({
      matches: ({ kind, text }) => kind === 'parse' && text.startsWith('INSERT'),
      nth: 2,
      at: 'request',
    })
    const broken = paused.transaction(async (tx) => {
      await tx.writeReturning(insertAccount('never'))
      await tx.writeReturning(sql`INSERT INTO accounts (id, name) VALUES (gen_random_uuid(), 'never') RETURNING id`)
    })
    await expect(broken).rejects.toMatchObject({ code: 'database-unavailable' })
    await second.reached()
    second.pass()
    await paused.transaction(async (tx) => tx.write(insertAccount('after the pause')))
    expect(await bench.names()).toContain('after the pause')
    expect(await bench.names()).not.toContain('never')
  })

  it('at COMMIT leaves the outcome unknown', async () => {
    const paused = unbounded()
    const commit = bench.proxy.intercept({ matches: ({ text }) => text === 'COMMIT', at: 'request' })
    await expect(paused.transaction((tx) => lockReadAndWrite(tx, 'held'))).rejects.toBeInstanceOf(CommitUnknown)
    await commit.reached()
    commit.pass()
    expect(await paused.transaction((tx) => lockReadAndWrite(tx, 'next'))).toBe('next')
  })
})
