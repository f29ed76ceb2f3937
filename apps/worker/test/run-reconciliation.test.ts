import { createLogger } from '@seatbelt/http'
import type { Reconciled, StandingDifferences } from '@seatbelt/payments'
import { eventually } from '@seatbelt/testing'
import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { runReconciliation } from '../src/run-reconciliation.ts'

const never: StandingDifferences = { finishedAt: null, byKind: {} }
const fresh: StandingDifferences = { finishedAt: new Date(), byKind: { 'charged-twice': 2 } }

function start(standing: StandingDifferences, compare: () => Promise<Reconciled>) {
  const registry = new Registry()
  const stop = new AbortController()
  const running = runReconciliation({
    compare,
    readStanding: async () => standing,
    everyMs: 86_400_000,
    signal: stop.signal,
    logger: createLogger({ level: 'silent', instance: 'worker-1' }),
    registry,
  })
  return {
    figures: () => registry.metrics(),
    end: () => {
      stop.abort()
      return running
    },
  }
}

it('compares when nobody has for a day, and not when somebody just did; the figures are shown in either case', async () => {
  let compared = 0
  const compare = async (): Promise<Reconciled> => {
    compared++
    return { kind: 'busy', by: 'worker-2' }
  }
  const due = start(never, compare)
  await eventually('it compares', () => compared === 1)
  await due.end()

  const notDue = start(fresh, compare)
  await eventually('the figures are shown', async () =>
    (await notDue.figures()).includes('reconciliation_differences{kind="charged-twice"} 2'),
  )
  await notDue.end()
  expect(compared).toBe(1)
})

it('ends when it is told to, and a fault does not end it before', async () => {
  let tries = 0
  const failing = start(never, async () => {
    tries++
    throw new Error('the database is away')
  })
  await eventually('it tries again', () => tries === 2, { boundMs: 20_000 })
  await failing.end()
})
