import { eventually, startLeakCheck } from '@seatbelt/testing'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { Heartbeat } from '../src/heartbeat.ts'

const leakCheck = startLeakCheck()
afterAll(() => leakCheck.assertNoLeaks())

/** What the server may do with an attempt to renew. */
type Answer = { readonly kind: 'renewed' | 'failed'; readonly afterMs: number } | { readonly kind: 'hung' }

const answers = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('renewed' as const), afterMs: fc.integer({ min: 0, max: 50 }) }),
  },
  // Later than its time-out, sometimes later than the whole TTL.
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('renewed' as const), afterMs: fc.integer({ min: 100, max: 900 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('failed' as const), afterMs: fc.integer({ min: 0, max: 400 }) }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'hung' as const }) },
)

describe('a heartbeat', () => {
  it('fires before the lock can have expired, whatever the server answers and when: 500 leases', async () => {
    const runs = fc.sample(
      fc.record({ ttlMs: fc.integer({ min: 600, max: 900 }), script: fc.array(answers, { maxLength: 4 }) }),
      {
        numRuns: 500,
        seed: 11,
      },
    )
    // In real time, all at once: what is asked is whether real timers are early enough.
    const wasInTime = await Promise.all(runs.map(({ ttlMs, script }) => firesBeforeExpiry(ttlMs, script)))
    expect(wasInTime.filter(Boolean)).toHaveLength(500)
  })

  it('counts from when the confirmed command was sent, not from when it was answered', async () => {
    const sentAtMs = performance.now()
    let attemptAtMs = 0
    const heartbeat = start({
      ttlMs: 600,
      sentAtMs,
      renew: async () => {
        attemptAtMs = performance.now()
        await new Promise((resolve) => setTimeout(resolve, 60))
        return true
      },
    })
    expect(heartbeat.deadline()).toBeCloseTo(sentAtMs + 600 - 8, 3)
    const firstDeadline = heartbeat.deadline()
    while (heartbeat.deadline() === firstDeadline) await new Promise((resolve) => setTimeout(resolve, 5))
    heartbeat.stop()
    expect(heartbeat.deadline()).toBeLessThanOrEqual(attemptAtMs + 600 - 8)
    expect(attemptAtMs).toBeGreaterThan(sentAtMs)
  })

  it('renews at a third of the TTL', async () => {
    let attempts = 0
    const heartbeat = start({
      ttlMs: 900,
      sentAtMs: performance.now(),
      renew: async () => {
        attempts++
        return true
      },
    })
    await allThatIsDueWithin(250)
    expect(attempts).toBe(0)
    await allThatIsDueWithin(150)
    expect(attempts).toBe(1)
    heartbeat.stop()
  })

  it('tells the truth to whoever reads it after a pause, before any timer could run', () => {
    const heartbeat = start({ ttlMs: 60, sentAtMs: performance.now(), renew: () => Promise.resolve(true) })
    expect(heartbeat.signal().aborted).toBe(false)
    const until = performance.now() + 61
    while (performance.now() < until);
    expect(heartbeat.signal().aborted).toBe(true)
    expect(heartbeat.isLost()).toBe(true)
  })

  it('tells also whoever looks for the first time after the loss, and why', async () => {
    const heartbeat = start({ ttlMs: 3_000, sentAtMs: performance.now(), renew: () => Promise.resolve(false) })
    await eventually('it is lost', () => heartbeat.isLost())
    expect(heartbeat.signal().aborted).toBe(true)
    expect(heartbeat.signal().reason).toMatchObject({ code: 'lease-lost', why: 'not-held' })
  })

  it('is silent after it was stopped, also when an answer comes later', async () => {
    let deny: ((isOurs: boolean) => void) | undefined
    const asked = new Promise<void>((resolve) => {
      const heartbeat = start({
        ttlMs: 90,
        sentAtMs: performance.now(),
        renew: () => {
          const answer = new Promise<boolean>((settle) => {
            deny = settle
          })
          resolve()
          return answer
        },
      })
      running = heartbeat
    })
    await asked
    running?.stop()
    deny?.(false)
    // A whole turn of the event loop: what the denial could still set off has been done by then.
    await new Promise(setImmediate)
    expect(running?.signal().aborted).toBe(false)
    expect(running?.isLost()).toBe(false)
  })

  it('begins no renewal after the longest time that a lease may be held', async () => {
    const attemptsAtMs: number[] = []
    const sentAtMs = performance.now()
    const heartbeat = start({
      ttlMs: 300,
      sentAtMs,
      maxHeldMs: 350,
      renew: async () => {
        attemptsAtMs.push(performance.now() - sentAtMs)
        return true
      },
    })
    await new Promise<void>((resolve) => heartbeat.signal().addEventListener('abort', () => resolve()))
    expect(heartbeat.signal().reason).toMatchObject({ code: 'lease-lost', why: 'expiring' })
    expect(attemptsAtMs.length).toBeGreaterThan(0)
    expect(Math.max(...attemptsAtMs)).toBeLessThan(350)
  })
})

let running: Heartbeat | undefined

function start(options: {
  ttlMs: number
  sentAtMs: number
  maxHeldMs?: number
  renew: () => Promise<boolean>
}): Heartbeat {
  const { renew, ...times } = options
  return new Heartbeat('order:1', { attemptTimeoutMs: times.ttlMs / 6, maxHeldMs: 60_000, ...times }, renew).start()
}

/**
 * Resolves when a timer for the lock's very end at the server has fired, with whether the signal had by then. Asked of the
 * process's own timers, because it is no fault of the heartbeat when a busy machine does not let the process run.
 */
function firesBeforeExpiry(ttlMs: number, script: readonly Answer[]): Promise<boolean> {
  let renewedAtMs = performance.now()
  let attempts = 0
  const renew = async () => {
    const answer = script[attempts++] ?? { kind: 'hung' }
    const askedAtMs = performance.now()
    if (answer.kind === 'hung') return new Promise<boolean>(() => {})
    await new Promise((settle) => setTimeout(settle, answer.afterMs))
    if (answer.kind === 'failed') throw new Error('no answer')
    // The server renewed at the earliest when it was asked; only from its answer on may the holder count on it.
    renewedAtMs = Math.max(renewedAtMs, askedAtMs)
    return true
  }
  const signal = start({ ttlMs, sentAtMs: renewedAtMs, renew }).signal()

  return lookAtExpiry()

  async function lookAtExpiry(): Promise<boolean> {
    const seenAtMs = renewedAtMs
    await allThatIsDueWithin(seenAtMs + ttlMs - performance.now())
    if (signal.aborted) return true
    return renewedAtMs > seenAtMs ? lookAtExpiry() : false
  }
}

/** Resolves when every timer that was due within this time has run, however late all of them are. */
async function allThatIsDueWithin(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
  await new Promise((resolve) => setImmediate(resolve))
}
