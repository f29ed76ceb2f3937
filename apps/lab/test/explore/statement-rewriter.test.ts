import { explore } from '@seatbelt/explore'
import { describe, expect, it } from 'vitest'
import { type Mutant, mutants } from '../../src/explore/mutants.ts'
import { openSurroundings } from '../../src/explore/open-surroundings.ts'
import { runItem } from '../../src/explore/run-item.ts'
import { scenarios } from '../../src/explore/scenarios.ts'
import { type StatementChange, StatementRewriter } from '../../src/explore/statement-rewriter.ts'
import { conditions } from '../../src/explore/without-layers.ts'
import { exploreServers } from './explore-servers.ts'

const servers = () => exploreServers(4)

describe('a change of a statement', () => {
  const change: StatementChange = { text: /version = \$\d+/, by: 'true', statements: ['UPDATE orders'] }

  it('is made once in the statement that is meant', () => {
    const rewriter = new StatementRewriter({ version: change })
    expect(rewriter.rewrite('UPDATE\n orders SET paid WHERE version = $1')).toBe('UPDATE\n orders SET paid WHERE true')
    expect(rewriter.rewrite('SELECT 1')).toBe('SELECT 1')
    expect({ faults: rewriter.faults, unused: rewriter.unused }).toEqual({ faults: [], unused: [] })
  })

  it.each([
    { what: 'its text is gone from the statement', sql: 'UPDATE orders SET paid' },
    { what: 'its text occurs twice', sql: 'UPDATE orders SET paid WHERE version = $1 OR version = $2' },
    { what: 'its text occurs in another statement', sql: 'UPDATE payments SET paid WHERE version = $1' },
  ])('is refused when $what', ({ sql }) => {
    const rewriter = new StatementRewriter({ version: change })
    rewriter.rewrite(sql)
    expect(rewriter.faults).toEqual([expect.stringContaining('"version"')])
  })

  it('is unused until its statement is sent', () => {
    const rewriter = new StatementRewriter({ version: change })
    rewriter.rewrite('SELECT 1')
    expect(rewriter.unused).toEqual(['version'])
  })
})

it('the text of each layer and mutant occurs once in each statement that is meant, and in no other', {
  timeout: 240_000,
}, async () => {
  const rewriter = new StatementRewriter(allChanges())
  const surroundings = await openSurroundings({ ...servers(), off: ['redis lock'] })
  try {
    // With an answer lost at each step, also the statements of takeovers and of owners that give up are sent.
    const { schedules } = await explore({
      scenario: scenarios['lost commit against capture']({ ...surroundings, rewriter }),
      servers: surroundings.servers,
      bounds: { preemptions: 0, preemptionsWithFault: 0 },
      faults: ['lose-answer'],
      // The schedules in which the authorizing owner begins have all of them.
      limit: 50,
    })
    expect(schedules).toBeGreaterThan(20)
    expect({ faults: rewriter.faults, unsent: rewriter.unsent }).toEqual({ faults: [], unsent: [] })
  } finally {
    await surroundings.close()
  }
})

it('an exploration fails in which no statement has the text of its mutant', { timeout: 60_000 }, async () => {
  // Holds of seats have no payment whose generation could be ignored.
  const bounds = { preemptions: 0, preemptionsWithFault: null }
  const item = { workload: 'overlapping holds', off: [], mutant: 'a deposed owner settles', bounds } as const
  await expect(runItem(item, servers())).rejects.toThrow('the text of "a deposed owner settles" is in no statement')
})

/** Of all layers and mutants. They leave the text as it is. */
function allChanges(): Record<string, StatementChange> {
  const ofMutants = Object.entries<Mutant>(mutants).flatMap(([name, { rewrite }]) => (rewrite ? [[name, rewrite]] : []))
  const all: Record<string, StatementChange> = { ...conditions, ...Object.fromEntries(ofMutants) }
  return Object.fromEntries(Object.entries(all).map(([name, change]) => [name, { ...change, by: '$&' }]))
}
