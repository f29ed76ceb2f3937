import { eventually, startLeakCheck } from '@seatbelt/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { roundingMs, type Sleeper, wakeAt, wakeNoMore } from '../src/wake-times.ts'

const leakCheck = startLeakCheck()
afterAll(() => leakCheck.assertNoLeaks())

const timers = () => leakCheck.open().filter((line) => line.includes('/src/wake-times'))

describe('many who sleep', () => {
  it('are woken by one timer, and none before its time', async () => {
    const nowMs = Math.ceil(performance.now())
    const woken: { readonly number: number; readonly atMs: number; readonly toldMs: number }[] = []
    const sleepers = Array.from({ length: 1_000 }, (_, number) =>
      sleeper((toldMs) => woken.push({ number, atMs: performance.now(), toldMs })),
    )
    for (const [number, one] of sleepers.entries()) wakeAt(one, nowMs + 20 + (number % 4) * 10)
    expect(timers().length).toBeLessThanOrEqual(1)
    await eventually('all are awake', () => woken.length === 1_000)
    for (const { number, atMs, toldMs } of woken) {
      expect(atMs).toBeGreaterThan(nowMs + 20 + (number % 4) * 10 - 1)
      expect(toldMs).toBeGreaterThanOrEqual(nowMs + 20 + (number % 4) * 10)
    }
    await eventually('no timer is left', () => timers().length === 0)
  })

  it('can leave, from the beginning, the middle and the end of their list, and are not woken then', async () => {
    const atMs = Math.ceil(performance.now()) + 20
    const woken: number[] = []
    const sleepers = Array.from({ length: 9 }, (_, number) => sleeper(() => woken.push(number)))
    for (const one of sleepers) wakeAt(one, atMs)
    for (const number of [0, 4, 8, 4]) wakeNoMore(sleepers[number] as Sleeper)
    await eventually('the others are awake', () => woken.length === 6)
    expect(woken.toSorted()).toEqual([1, 2, 3, 5, 6, 7])
  })

  it('can put off their time, bring it forward, and fall asleep again when they are woken', async () => {
    const nowMs = Math.ceil(performance.now())
    const woken: string[] = []
    const early = sleeper(() => woken.push('brought forward'))
    const late = sleeper(() => woken.push('put off'))
    const again: Sleeper = sleeper(() => {
      woken.push('again')
      if (woken.filter((who) => who === 'again').length < 2) wakeAt(again, nowMs + 25)
    })
    wakeAt(early, nowMs + 60_000)
    wakeAt(late, nowMs + 10)
    wakeAt(again, nowMs + 5)
    wakeAt(early, nowMs + 15)
    wakeAt(late, nowMs + 40)
    await eventually('all are awake', () => woken.length === 4)
    // On a machine that is late for several times at once, in any order.
    expect(woken.toSorted()).toEqual(['again', 'again', 'brought forward', 'put off'])
  })

  it('leave no timer, however far their time was', async () => {
    await eventually('those of the tests before are gone', () => timers().length === 0)
    const one = sleeper(() => {})
    wakeAt(one, performance.now() + 600_000)
    expect(timers()).toHaveLength(1)
    wakeNoMore(one)
    await eventually('no timer is left', () => timers().length === 0)
  })

  it('are woken all the same when one of them throws', async () => {
    const thrown: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => thrown.push(error))
    try {
      const atMs = Math.ceil(performance.now()) + 10
      let woken = 0
      const fault = new Error('of its own')
      for (let number = 0; number < 3; number++) {
        const one = sleeper(() => {
          if (++woken === 1) throw fault
        })
        wakeAt(one, atMs)
      }
      await eventually('all are awake', () => woken === 3)
      expect(thrown).toEqual([fault])
    } finally {
      for (const listener of listeners) process.on('uncaughtException', listener)
    }
  })
})

it('times are rounded to powers of two that matter to nobody', () => {
  expect([60, 511, 512, 1_500, 4_000, 30_000, 600_000].map((ttlMs) => roundingMs(ttlMs, 1 / 256))).toEqual([
    1, 1, 2, 4, 8, 64, 64,
  ])
})

function sleeper(wake: (nowMs: number) => void): Sleeper {
  return { slot: undefined, next: undefined, previous: undefined, wake }
}
