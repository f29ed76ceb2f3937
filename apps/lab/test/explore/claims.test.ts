import { describe, expect, it } from 'vitest'
import { claims } from '../../src/explore/claims.ts'
import { boundsOf, faultIn, offWith, offWithout, workloadNamed } from '../../src/explore/explore-plan.ts'
import type { Claim } from '../../src/explore/explore-report.ts'
import { findViolation } from '../../src/explore/find-violation.ts'
import { savesWork } from '../../src/explore/measure-claim.ts'
import { runItem } from '../../src/explore/run-item.ts'
import { exploreServers } from './explore-servers.ts'

const servers = () => exploreServers(3)

/** The whole file, on two cores, ends within this. */
const withinMs = 120_000

const { signal } = new AbortController()

describe('claims', () => {
  for (const claim of claims.filter(({ layer }) => layer !== savesWork)) {
    it(`without "${claim.layer}", ${claim.workload} breaks, and with it nothing does`, { timeout: withinMs }, () =>
      expectPrevention(claim),
    )
  }

  for (const claim of claims.filter(({ layer }) => layer === savesWork)) {
    it(`nothing depends on "${claim.layer}" in ${claim.workload}`, { timeout: withinMs }, () => expectNoNeed(claim))
  }
})

describe('all layers on', () => {
  for (const workload of ['two keys', 'same key twice'] as const) {
    it(`${workload}: no schedule with two preemptions breaks anything`, { timeout: withinMs }, async () => {
      const found = await runItem({ workload, off: [], bounds: boundsOf(workload, 'none') }, servers())
      expect(found).toMatchObject({ violating: 0, shortest: null, uncertain: [], unchecked: [], isComplete: true })
      expect(found.schedules).toBeGreaterThan(0)
    })
  }
})

async function expectPrevention(claim: Claim): Promise<void> {
  const workload = workloadNamed(claim.workload)
  const { shortest } = await findViolation({ workload, off: offWithout(claim), fault: claim.fault }, servers(), signal)
  if (shortest === null) throw new Error(`no violation was found without the layer "${claim.layer}"`)
  const fault = faultIn(shortest)
  const bounds = { preemptions: 1, preemptionsWithFault: fault === 'none' ? null : 0 }
  const faults = fault === 'none' ? [] : [fault]
  const withLayer = await runItem({ workload, off: offWith(claim), bounds, faults }, servers())
  expect(withLayer).toMatchObject({ violating: 0, shortest: null, uncertain: [], unchecked: [], isComplete: true })
}

async function expectNoNeed(claim: Claim): Promise<void> {
  const workload = workloadNamed(claim.workload)
  const bounds = { preemptions: 1, preemptionsWithFault: null }
  for (const off of [offWithout(claim), offWith(claim)]) {
    expect(await runItem({ workload, off, bounds }, servers())).toMatchObject({
      violating: 0,
      unchecked: [],
      isComplete: true,
    })
  }
}
