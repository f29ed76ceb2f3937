import { createLogger } from '@seatbelt/http'
import type { Recovered } from '@seatbelt/payments'
import { createLatch } from '@seatbelt/testing'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { runRecovery } from '../src/run-recovery.ts'

const found = { payment: { id: 'p' }, result: { kind: 'unsettled' } } as Recovered

function start(recover: () => Promise<Recovered | null>, { lanes = 1, idlePauseMs = 60_000 } = {}) {
  const registry = new Registry()
  const stop = new AbortController()
  const logger = createLogger({ level: 'silent', instance: 'worker' })
  let wake = () => {}
  const onWake = (listener: () => void) => {
    wake = listener
  }
  const ended = runRecovery({ recover, lanes, idlePauseMs, onWake, signal: stop.signal, logger, registry })
  const counted = async () => (await registry.getSingleMetric('payment_recoveries_total')?.get())?.values ?? []
  return { stop: () => stop.abort(), wake: () => wake(), ended, counted }
}

describe('runRecovery', () => {
  it('goes on without a pause while something is due, and ends at once when it rests', async () => {
    const rests = createLatch('nothing is due any more')
    let due = 3
    const { stop, ended, counted } = start(async () => {
      if (due-- > 0) return found
      rests.open()
      return null
    })
    await rests.wait()
    stop()
    await ended
    expect(await counted()).toMatchObject([{ labels: { result: 'unsettled' }, value: 3 }])
  })

  it('waits for the payment that is under way when it is stopped, and takes no other one', async () => {
    const [taken, writtenDown] = [createLatch('taken'), createLatch('written down')]
    let takes = 0
    let isDone = false
    const { stop, ended } = start(async () => {
      takes++
      taken.open()
      await writtenDown.wait()
      isDone = true
      return found
    })
    await taken.wait()
    stop()
    writtenDown.open()
    await ended
    expect({ takes, isDone }).toEqual({ takes: 1, isDone: true })
  })

  it('wakes all lanes at once when it is told to, though they would rest for a minute', async () => {
    const [resting, awake] = [createLatch('both lanes have found nothing'), createLatch('both lanes look again')]
    let looks = 0
    const { stop, wake, ended } = start(
      async () => {
        looks++
        if (looks === 2) resting.open()
        if (looks === 4) awake.open()
        return null
      },
      { lanes: 2 },
    )
    await resting.wait()
    wake()
    await awake.wait()
    stop()
    await ended
    expect(looks).toBe(4)
  })

  it('does not sleep through a call that came while it was looking', async () => {
    const [looking, found, again] = [createLatch('looking'), createLatch('nothing found'), createLatch('looks again')]
    let looks = 0
    const { stop, wake, ended } = start(async () => {
      if (++looks > 1) again.open()
      looking.open()
      await found.wait()
      return null
    })
    await looking.wait()
    wake()
    found.open()
    await again.wait()
    stop()
    await ended
  })

  it('counts a fault, and the other lane goes on', async () => {
    const goesOn = createLatch('the other lane goes on')
    let calls = 0
    const { stop, ended, counted } = start(
      async () => {
        if (++calls === 1) throw new Error('this one fails')
        if (calls > 3) goesOn.open()
        return calls > 3 ? null : found
      },
      { lanes: 2 },
    )
    await goesOn.wait()
    stop()
    await ended
    expect(await counted()).toContainEqual({ labels: { result: 'fault' }, value: 1 })
  })
})
