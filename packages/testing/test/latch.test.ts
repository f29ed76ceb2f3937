import { describe, expect, it } from 'vitest'
import { createLatch, eventually, race, raceCopies, valuesOf } from '../src/index.ts'

describe('a latch', () => {
  it('holds all waiters until it is opened, and none afterwards', async () => {
    const latch = createLatch('gate')
    const passed: number[] = []
    const waiting = [1, 2].map(async (n) => {
      await latch.wait()
      passed.push(n)
    })
    await Promise.resolve()
    expect(passed).toEqual([])
    expect(latch.isOpen).toBe(false)
    latch.open()
    latch.open()
    await Promise.all(waiting)
    expect(passed).toEqual([1, 2])
    await latch.wait()
  })

  it('names itself when it is never opened', async () => {
    const latch = createLatch('the commit was sent', { boundMs: 20 })
    await expect(latch.wait()).rejects.toThrow("latch 'the commit was sent' was not opened within 20 ms")
  })
})

describe('a race', () => {
  it('calls everybody before anybody goes on, and keeps the order in its results', async () => {
    const events: string[] = []
    const contender = (name: string) => async () => {
      events.push(`${name} starts`)
      await Promise.resolve()
      events.push(`${name} goes on`)
      return name
    }
    expect(valuesOf(await race([contender('a'), contender('b')]))).toEqual(['a', 'b'])
    expect(events).toEqual(['a starts', 'b starts', 'a goes on', 'b goes on'])
  })

  it('has everybody under way before the first answer comes', async () => {
    let underWay = 0
    const seen = valuesOf(
      await raceCopies(10, async () => {
        underWay++
        await new Promise((resolve) => setImmediate(resolve))
        return underWay
      }),
    )
    expect(seen).toEqual(Array.from({ length: 10 }, () => 10))
  })

  it('tells failures apart, also those thrown before the first wait', async () => {
    const results = await race<number>([
      async () => 1,
      () => {
        throw new Error('at once')
      },
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(() => valuesOf(results)).toThrow('at once')
  })
})

describe('eventually', () => {
  it('gives what it saw, or says what it did not see', async () => {
    let looks = 0
    expect(await eventually('third look', () => ++looks === 3 && 'seen')).toBe('seen')
    await expect(eventually('rain', () => null, { boundMs: 20 })).rejects.toThrow('not within 20 ms: rain')
  })
})
