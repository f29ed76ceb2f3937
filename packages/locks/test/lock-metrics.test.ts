import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import {
  type Acquisition,
  createLockMetrics,
  LeaseLost,
  type Lock,
  measureLock,
  type ReleaseOutcome,
} from '../src/index.ts'

describe('the metrics of locks', () => {
  it('count what a caller met, with the strategy and never with a resource', async () => {
    const registry = new Registry()
    const metrics = createLockMetrics(registry)
    for (const reason of ['contended', 'contended', 'timed-out', 'unavailable', 'aborted'] as const) {
      await measureLock(lockThat({ acquired: false, reason }), metrics).acquire('order:secret', { ttlMs: 1_000 })
    }
    metrics.bypassed('redis')
    const text = await registry.metrics()
    expect(text).toContain('lock_contended_total{lock="redis"} 2')
    expect(text).toContain('lock_timed_out_total{lock="redis"} 1')
    expect(text).toContain('lock_unavailable_total{lock="redis"} 1')
    expect(text).toContain('lock_aborted_total{lock="redis"} 1')
    expect(text).toContain('lock_bypassed_total{lock="redis"} 1')
    expect(text).not.toContain('lock_acquire_seconds_count{lock="redis"}')
    expect(text).not.toContain('secret')
  })

  it('time what is acquired and held', async () => {
    const registry = new Registry()
    const acquisition = await measured(registry, granted('released')).acquire('order:1', { ttlMs: 1_000 })
    if (!acquisition.acquired) throw new Error('not granted')
    expect(await registry.metrics()).toContain('lock_acquire_seconds_count{lock="redis"} 1')
    expect(await registry.metrics()).not.toContain('lock_held_seconds_count{lock="redis"}')
    await acquisition.lease.release()
    await acquisition.lease.release()
    expect(await registry.metrics()).toContain('lock_held_seconds_count{lock="redis"} 1')
    expect(await registry.metrics()).not.toContain('lock_lost_total{lock="redis"}')
  })

  it('count a loss once, whether its signal or its release tells first', async () => {
    const registry = new Registry()
    const controller = new AbortController()
    const bySignal = await measured(registry, granted('already-lost', controller)).acquire('order:1', { ttlMs: 1_000 })
    controller.abort(new LeaseLost('order:1', 'expiring'))
    if (bySignal.acquired) await bySignal.lease.release()
    const byRelease = await measured(registry, granted('already-lost')).acquire('order:2', { ttlMs: 1_000 })
    if (byRelease.acquired) await byRelease.lease[Symbol.asyncDispose]()
    expect(await registry.metrics()).toContain('lock_lost_total{lock="redis"} 2')
    expect(await registry.metrics()).toContain('lock_held_seconds_count{lock="redis"} 2')
  })

  it('are the same ones for everybody who uses the registry', () => {
    const registry = new Registry()
    expect(createLockMetrics(registry)).toBe(createLockMetrics(registry))
    expect(createLockMetrics(new Registry())).not.toBe(createLockMetrics(registry))
  })
})

function measured(registry: Registry, acquisition: Acquisition): Lock {
  return measureLock(lockThat(acquisition), createLockMetrics(registry))
}

function lockThat(acquisition: Acquisition): Lock {
  return { strategy: 'redis', acquire: () => Promise.resolve(acquisition) }
}

function granted(outcome: ReleaseOutcome, { signal } = new AbortController()): Acquisition {
  const release = () => Promise.resolve(outcome)
  const dispose = async () => {}
  return {
    acquired: true,
    lease: { resource: 'order:1', token: 't', deadline: 0, signal, release, [Symbol.asyncDispose]: dispose },
  }
}
