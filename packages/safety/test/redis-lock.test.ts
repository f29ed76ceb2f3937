import { createLockMetrics, type Lock } from '@seatbelt/locks'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { createRedisLockLayer } from '../src/index.ts'

function layerOver(acquire: Lock['acquire']) {
  const registry = new Registry()
  const metrics = createLockMetrics(registry)
  const layer = createRedisLockLayer({ lock: { strategy: 'redis', acquire }, ttlMs: 5_000, metrics })
  const bypassed = async () => {
    const metric = await registry.getSingleMetric('lock_bypassed_total')?.get()
    return metric?.values.reduce((sum, { value }) => sum + value, 0) ?? 0
  }
  return { layer, bypassed }
}

describe('layer 2 over a Redis that is away', () => {
  it('does the work all the same and counts each bypass; after five failures it stops asking', async () => {
    let asked = 0
    const { layer, bypassed } = layerOver(async () => {
      asked++
      return { acquired: false, reason: 'unavailable' }
    })
    for (let request = 0; request < 20; request++) expect(await layer('order:1', async () => 'done')).toBe('done')
    expect(asked).toBe(5)
    expect(await bypassed()).toBe(20)
  })
})

describe('layer 2 over a lock that somebody holds', () => {
  it('refuses without doing the work, and takes that for no failure of Redis', async () => {
    let worked = 0
    const { layer, bypassed } = layerOver(async () => ({ acquired: false, reason: 'contended' }))
    for (let request = 0; request < 20; request++)
      expect(await layer('order:1', async () => worked++)).toEqual({ kind: 'contended' })
    expect(worked).toBe(0)
    expect(await bypassed()).toBe(0)
  })
})
