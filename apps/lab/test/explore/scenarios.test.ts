import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { openSurroundings } from '../../src/explore/open-surroundings.ts'
import { runItem } from '../../src/explore/run-item.ts'
import { type ScenarioName, scenarios } from '../../src/explore/scenarios.ts'
import { exploreServers } from './explore-servers.ts'

describe('each workload, with all layers on', () => {
  for (const workload of Object.keys(scenarios) as ScenarioName[]) {
    it(`${workload}: the invariants have something to check, and none is violated`, { timeout: 60_000 }, async () => {
      const bounds = { preemptions: 0, preemptionsWithFault: null }
      expect(await runItem({ workload, off: [], bounds }, exploreServers(6))).toMatchObject({
        shortest: null,
        violating: 0,
        uncertain: [],
        unchecked: [],
      })
    })
  }
})

it('a webhook that overtakes the owner settles its payment', { timeout: 60_000 }, async () => {
  // The 24th schedule is the first in which it does. All of them took a busy machine longer than a minute.
  const item = {
    workload: 'two keys and the webhook',
    off: ['redis lock', 'gateway reference'],
    isRecorded: true,
    limit: 40,
  } as const
  const bounds = { preemptions: 1, preemptionsWithFault: null }
  const { executions } = await runItem({ ...item, bounds, faults: [] }, exploreServers(6))
  expect(executions.map(({ endings }) => endings.webhook)).toContainEqual(expect.stringContaining('applied'))
})

it('PostgreSQL chooses no victim of a deadlock, because the scheduler does', async () => {
  const { servers, close } = await openSurroundings({ ...exploreServers(6), off: [] })
  const client = new pg.Client(servers.postgres)
  await client.connect()
  try {
    expect((await client.query('SHOW deadlock_timeout')).rows).toEqual([{ deadlock_timeout: '1h' }])
  } finally {
    await client.end()
    await close()
  }
})
