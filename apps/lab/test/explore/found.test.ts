import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { found, renderFound } from '../../src/explore/found.ts'
import { runAgain } from '../../src/explore/run-item.ts'
import { exploreServers } from './explore-servers.ts'

const servers = () => exploreServers(5)

describe('faults that the explorer found', () => {
  for (const { fault, workload, off, mutant, schedule } of found) {
    it(`is mended, and is back without its repair: ${fault}`, { timeout: 60_000 }, async () => {
      const reverted = await runAgain({ workload, off, mutant }, schedule, servers())
      expect(reverted.violations).not.toEqual([])
      expect((await runAgain({ workload, off, mutant }, schedule, servers())).hash).toBe(reverted.hash)
      expect(await runAgain({ workload, off }, schedule, servers())).toMatchObject({ violations: [] })
    })
  }

  it('docs/found.md lists them', () => {
    const page = readFileSync(new URL('../../../../docs/found.md', import.meta.url), 'utf8')
    expect(
      page
        .split('\n')
        .filter((line) => line.startsWith('| '))
        .slice(2)
        .join('\n'),
    ).toBe(renderFound())
  })
})
