import { createLatch, eventually } from '@seatbelt/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase, type Database } from '../src/index.ts'
import { createReadiness, type Readiness } from '../src/readiness.ts'
import { type Bench, startBench } from './transaction-support.ts'

const connection = { applicationName: 'readiness' }

let bench: Bench
beforeAll(async () => {
  bench = await startBench()
})
afterAll(() => bench?.close())

describe('a database', () => {
  it('is ready while each connection of the pool is at work and others wait for one', async () => {
    const database = bench.open({ poolSize: 1 })
    const [begun, done] = [createLatch('a transaction has begun'), createLatch('the crowd may go')]
    const crowd = [
      database.transaction(async () => {
        begun.open()
        await done.wait()
      }),
      database.transaction(async () => undefined),
    ]
    await begun.wait()
    try {
      expect(await database.isReady()).toBe(true)
    } finally {
      done.open()
      await Promise.all(crowd)
    }
  })

  it('is not ready, and throws nothing, where no database is', async () => {
    const nowhere = createDatabase({ url: 'postgresql://x@127.0.0.1:1/x', poolSize: 1, applicationName: 'nowhere' })
    expect(await nowhere.isReady()).toBe(false)
    await nowhere.close()
  })
})

describe('readiness', () => {
  const through = () => ({ ...connection, url: bench.proxy.through(bench.url) })
  const using = async (readiness: Readiness, test: () => Promise<void>) => {
    try {
      await test()
    } finally {
      bench.proxy.accept()
      bench.proxy.flow('to-client')
      await readiness.close()
    }
  }

  it('is there again after the connection was cut', async () => {
    const readiness = createReadiness({ ...through(), answersAfresh: true })
    await using(readiness, async () => {
      expect(await readiness.isReady()).toBe(true)
      bench.proxy.refuse()
      await eventually('the loss is seen', async () => !(await readiness.isReady()))
      bench.proxy.accept()
      await eventually('the database is there again', () => readiness.isReady())
    })
  })

  it('outlasts a short silence of a database that is slow, and ends with a long one', async () => {
    const clock = { ms: 0 }
    const readiness = createReadiness({ ...through(), answersAfresh: true, patienceMs: 10, now: () => clock.ms })
    await using(readiness, async () => {
      await eventually('the first answer is there', () => readiness.isReady())
      bench.proxy.hold('to-client')
      clock.ms = 4_999
      expect(await readiness.isReady()).toBe(true)
      clock.ms = 5_000
      expect(await readiness.isReady()).toBe(false)
      bench.proxy.flow('to-client')
      await eventually('the answer came after all', () => readiness.isReady())
    })
  })
})

it('leaves no connection that was being made when it was closed', async () => {
  bench.proxy.hold('to-client')
  try {
    const before = bench.proxy.connections
    const readiness = createReadiness({ ...connection, url: bench.proxy.through(bench.url), patienceMs: 10 })
    expect(await readiness.isReady()).toBe(false)
    await eventually('it connects', () => bench.proxy.connections > before)
    await readiness.close()
    bench.proxy.flow('to-client')
    await eventually('the connection is closed', () => bench.proxy.connections === before)
  } finally {
    bench.proxy.flow('to-client')
  }
})

it('one question is under way at a time, however many ask', async () => {
  const database: Database = bench.open()
  await database.isReady()
  const before = bench.proxy.clientMessages
  await Promise.all(Array.from({ length: 50 }, () => database.isReady()))
  expect(bench.proxy.clientMessages - before).toBeLessThanOrEqual(1)
})
