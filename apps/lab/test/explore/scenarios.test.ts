import { describe, expect, it } from 'vitest'
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
