import { expect, it } from 'vitest'
import { buildExploreReport } from '../../src/explore/build-explore-report.ts'
import type { RowTask } from '../../src/explore/explore-plan.ts'
import type { RowResult } from '../../src/explore/explore-row.ts'

const task: RowTask = { kind: 'row', workload: 'two keys', off: [], fault: 'crash', limit: null }
const result: RowResult = {
  schedules: 30,
  executed: 40,
  violations: 0,
  shortest: null,
  known: [],
  isComplete: true,
  uncertain: [],
  unchecked: [],
}

it('counts the schedules of a row once, and its speed by all that were run', () => {
  expect(reportOf(result)).toMatchObject({
    schedules: 30,
    schedulesPerSecond: 4,
    layers: [{ schedules: 30, bound: null, violations: 0 }],
  })
})

it('is unknown where an invariant had nothing to check', () => {
  const { verdict, reasons } = reportOf({ ...result, unchecked: ['I1', 'I8'] })
  const reason = 'two keys, crash, all layers on: I1, I8 had nothing to check'
  expect(reasons).toContain(reason)
  expect(verdict).not.toBe('valid')
  expect(reportOf(result).reasons).not.toContain(reason)
})

function reportOf(row: RowResult) {
  return buildExploreReport({
    startedAt: new Date(0),
    durationSeconds: 12,
    exploredSeconds: 10,
    quick: false,
    brokenOffBecause: null,
    tasks: [task],
    outcomes: [{ task, result: { kind: 'row', ...row }, failure: null }],
  })
}
