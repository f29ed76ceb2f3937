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
  const ended = runRecovery({ recover, lanes, idlePauseMs, signal: stop.signal, logger, registry })
  const counted = async () => (await registry.getSingleMetric('payment_recoveries_total')?.get())?.values ?? []
  return { stop: () => stop.abort(), ended, counted }
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
