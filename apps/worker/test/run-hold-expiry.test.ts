import { createLogger } from '@seatbelt/http'
import { createLatch } from '@seatbelt/testing'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { type HoldExpiryOptions, runHoldExpiry } from '../src/run-hold-expiry.ts'

function start(steps: Pick<HoldExpiryOptions, 'expire' | 'endOverdue'>) {
  const registry = new Registry()
  const stop = new AbortController()
  const logger = createLogger({ level: 'silent', instance: 'worker' })
  const ended = runHoldExpiry({ ...steps, signal: stop.signal, logger, registry })
  const counted = async () => (await registry.getSingleMetric('holds_expired_total')?.get())?.values ?? []
  return { stop: () => stop.abort(), ended, counted }
}

/** What is due, one after the other, and then nothing any more. */
function inTurn<T>(due: readonly T[], nothing: T, rests: () => void): () => Promise<T> {
  let at = 0
  return async () => {
    const next = due[at++]
    if (next === undefined) rests()
    return next ?? nothing
  }
}

describe('runHoldExpiry', () => {
  it('goes on without a pause while anything lapsed is left, and counts both kinds', async () => {
    const [noHolds, noCheckouts] = [createLatch('no hold has lapsed'), createLatch('no checkout is overdue')]
    const { stop, ended, counted } = start({
      expire: inTurn([100, 20], 0, noHolds.open),
      endOverdue: inTurn([true, true, true], false, noCheckouts.open),
    })
    await Promise.all([noHolds.wait(), noCheckouts.wait()])
    stop()
    await ended
    const values = (await counted()).map(({ labels: { state }, value }) => [state, value]).sort()
    expect(values).toEqual([
      ['active', 120],
      ['checking_out', 3],
    ])
  })

  it('a fault in one kind does not keep the other from its work', async () => {
    const [failed, worked] = [createLatch('expiring failed'), createLatch('checkouts are ended')]
    const { stop, ended } = start({
      expire: async () => {
        failed.open()
        throw new Error('a counter is wrong')
      },
      endOverdue: async () => {
        await failed.wait()
        worked.open()
        return false
      },
    })
    await worked.wait()
    stop()
    await ended
  })
})
