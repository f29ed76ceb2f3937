import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffMs, pause } from '../src/index.ts'

describe('the pauses', () => {
  it('are never longer than the bound, nor than the base doubled with each failure, and never nothing', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 5_000 }),
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1, max: 60_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (failures, baseMs, maxMs, drawn) => {
          const ms = backoffMs(failures, { baseMs, maxMs, random: () => drawn })
          expect(ms).toBeGreaterThanOrEqual(1)
          expect(ms).toBeLessThanOrEqual(Math.max(1, Math.min(maxMs, baseMs * 2 ** failures)))
        },
      ),
    )
  })

  it('are spread over the whole range, so that contenders do not come back together', () => {
    const at = (drawn: number) => backoffMs(3, { baseMs: 10, maxMs: 1_000, random: () => drawn })
    expect([at(0), at(0.25), at(0.5), at(0.75)]).toEqual([1, 20, 40, 60])
  })

  it('end early with the signal, and at once when it fired before', async () => {
    const abort = new AbortController()
    const paused = pause(60_000, abort.signal)
    abort.abort()
    await paused
    await pause(60_000, abort.signal)
  })
})
