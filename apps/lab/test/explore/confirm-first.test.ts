import { type Execution, Stuck } from '@seatbelt/explore'
import { describe, expect, it } from 'vitest'
import { confirmFirst } from '../../src/explore/confirm-first.ts'

describe('a violation', () => {
  it('counts when its replay is the same execution', async () => {
    const found = violating('a')
    expect(await confirmFirst([found], async () => found)).toEqual({ shortest: found, unconfirmed: [] })
  })

  it('is uncertain when its replay violates nothing, and the next one is tried', async () => {
    const [first, second] = [violating('a'), violating('b')]
    const replay = async ({ first: actor }: Execution['schedule']) =>
      actor === 'a' ? { ...first, violations: [], hash: 'other' } : second
    const why = 'it violated I1: charged twice, and its replay nothing'
    expect(await confirmFirst([first, second], replay)).toEqual({
      shortest: second,
      unconfirmed: [{ schedule: first.schedule, why }],
    })
  })

  it('is uncertain when its replay gets stuck', async () => {
    const found = violating('a')
    const stuck = () => Promise.reject(new Stuck('a did nothing'))
    const unconfirmed = [{ schedule: found.schedule, why: 'a did nothing' }]
    expect(await confirmFirst([found], stuck)).toEqual({ shortest: null, unconfirmed })
  })
})

function violating(first: string): Execution {
  const schedule = { first, deviations: [] }
  return { schedule, actors: ['a', 'b'], steps: [], endings: {}, violations: ['I1: charged twice'], hash: first }
}
