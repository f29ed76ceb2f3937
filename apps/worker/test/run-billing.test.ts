import { createLogger } from '@seatbelt/http'
import type { Acquisition, Lock } from '@seatbelt/locks'
import type { Billed, BillingHour } from '@seatbelt/payments'
import { createLatch } from '@seatbelt/testing'
import { Registry } from 'prom-client'
import { expect, it, vi } from 'vitest'
import { type BillingRunOptions, runBilling } from '../src/run-billing.ts'

const hour = (isFinished = false, restMs = 3_600_000): BillingHour => ({ hour: new Date(0), isFinished, restMs })

/** Its pauses are recorded, and take no time. */
function start(
  options: Pick<BillingRunOptions, 'readHour' | 'bill'>,
  { lock = alwaysGranted(), stopAfterRests = Number.POSITIVE_INFINITY } = {},
) {
  const said: string[] = []
  const logger = createLogger({ level: 'silent', instance: 'worker' })
  logger.info = (_: unknown, text?: string) => said.push(text ?? '')
  const rests: number[] = []
  const registry = new Registry()
  const stop = new AbortController()
  let fence = 0n
  const ended = runBilling({
    ...options,
    leadership: { lock, draw: async () => ++fence, ttlMs: 1_000 },
    signal: stop.signal,
    logger,
    registry,
    rest: async (ms) => {
      if (rests.push(ms) >= stopAfterRests) stop.abort()
    },
  })
  const elections = async () => (await registry.getSingleMetric('billing_elections_total')?.get())?.values ?? []
  return { stop: () => stop.abort(), ended, elections, rests, said }
}

function alwaysGranted(): Lock {
  return {
    strategy: 'fake',
    acquire: async (resource): Promise<Acquisition> => ({
      acquired: true,
      lease: {
        ...{ resource, token: '1', deadline: Number.POSITIVE_INFINITY, signal: new AbortController().signal },
        release: async () => 'released',
        [Symbol.asyncDispose]: async () => undefined,
      },
    }),
  }
}

it('an hour whose run is finished is left alone, and the copy rests until the next, for a minute at most', async () => {
  let bills = 0
  const untilNext = [3_600_000, 60_001, 20_000]
  const { rests, ended } = start(
    {
      readHour: async () => hour(true, untilNext.shift()),
      bill: async (): Promise<Billed> => {
        bills++
        return 'finished'
      },
    },
    { stopAfterRests: 3 },
  )
  await ended
  expect({ bills, rests }).toEqual({ bills: 0, rests: [60_000, 60_000, 20_000] })
})

it('an unfinished run continues after a pause, under a new fence', async () => {
  const fences: bigint[] = []
  const { rests, ended } = start(
    {
      readHour: async () => hour(fences.length === 2),
      bill: async ({ fence }) => (fences.push(fence) === 1 ? 'unfinished' : 'finished'),
    },
    { stopAfterRests: 2 },
  )
  await ended
  expect({ fences, rests }).toEqual({ fences: [1n, 2n], rests: [5_000, 60_000] })
})

it('a copy that only finds the run finished does not log that it led the run', async () => {
  const ends: Billed[] = ['finished-before', 'finished']
  const { said, ended } = start(
    {
      readHour: async () => hour(ends.length === 0),
      bill: async () => ends.shift() ?? 'unfinished',
    },
    { stopAfterRests: 1 },
  )
  await ended
  expect(said).toEqual(['found the billing run finished', 'led the billing run'])
})

it('a fault is logged, and the run continues after a pause', async () => {
  let bills = 0
  const { rests, ended } = start(
    {
      readHour: async () => hour(bills === 2),
      bill: async (): Promise<Billed> => {
        if (++bills === 1) throw new Error('the database is away')
        return 'finished'
      },
    },
    { stopAfterRests: 2 },
  )
  await ended
  expect({ bills, rests }).toEqual({ bills: 2, rests: [5_000, 60_000] })
})

it('without the lock no copy leads: nothing is billed, and each failed election is counted', async () => {
  const away: Lock = { strategy: 'fake', acquire: async () => ({ acquired: false, reason: 'unavailable' }) }
  let bills = 0
  const { stop, ended, elections } = start(
    {
      readHour: async () => hour(),
      bill: async (): Promise<Billed> => {
        bills++
        return 'finished'
      },
    },
    { lock: away },
  )
  await vi.waitFor(async () => expect((await elections())[0]?.value).toBeGreaterThanOrEqual(2))
  stop()
  await ended
  expect(bills).toBe(0)
  expect(await elections()).toMatchObject([{ labels: { result: 'unavailable' } }])
})

it('a copy that is stopped ends its run, and waits for what is under way', async () => {
  const [begun, mayEnd] = [createLatch('it has begun'), createLatch('it may end')]
  const { stop, ended } = start({
    readHour: async () => hour(),
    bill: async ({ signal }) => {
      begun.open()
      await mayEnd.wait()
      return signal.aborted ? 'unfinished' : 'finished'
    },
  })
  await begun.wait()
  stop()
  let hasEnded = false
  void ended.then(() => (hasEnded = true))
  await Promise.resolve()
  expect(hasEnded).toBe(false)
  mayEnd.open()
  await ended
})
