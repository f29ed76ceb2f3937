import { type Acquisition, createRedisLock, pause } from '@seatbelt/locks'
import type { Redis } from 'ioredis'
import { median } from './statistics.ts'

export interface HeartbeatCost {
  /**
   * CPU time of this process while it does nothing but renew, as a share of one core. What the process takes by itself is in it, so
   * the renewals cost this at most. Null: not all of them were still held at the end, and leases that are not held cost nothing.
   */
  readonly cpuShare: number | null
}

export interface HeartbeatPlan {
  readonly leases: number
  readonly ttlMs: number
  /** How long this process is looked at; a whole number of renewal periods (a third of the TTL) is fair. */
  readonly windowMs: number
  /** The median of so many windows counts. */
  readonly windows: number
}

const commandBudgetMs = 500
/** Taken at once, so that a timer's late milliseconds do not add up over ten thousand of them. */
const groupSize = 20

/**
 * Holds leases and looks at what their renewal costs this process: timers, commands, answers. They are taken in small groups over
 * a renewal period, so that their renewals are spread as those of a service would be.
 */
export async function measureHeartbeat(
  client: Redis,
  { leases, ttlMs, windowMs, windows }: HeartbeatPlan,
  signal: AbortSignal,
): Promise<HeartbeatCost> {
  const lock = createRedisLock({ client, commandBudgetMs, keyPrefix: 'heartbeat:' })
  const startedAtMs = performance.now()
  const held: Acquisition[] = []
  while (held.length < leases) {
    signal.throwIfAborted()
    const group = Array.from({ length: Math.min(groupSize, leases - held.length) }, (_, index) => held.length + index)
    held.push(...(await Promise.all(group.map((index) => lock.acquire(`${index}`, { ttlMs })))))
    await pause(startedAtMs + (held.length / leases) * (ttlMs / 3) - performance.now())
  }
  // Only from its first renewal on does a lease cost what it costs.
  await pause(startedAtMs + ttlMs / 3 - performance.now(), signal)
  const shares: number[] = []
  while (shares.length < windows) {
    signal.throwIfAborted()
    shares.push(await cpuShareOver(windowMs))
  }
  const outcomes = await Promise.all(
    held.map((acquisition) => (acquisition.acquired ? acquisition.lease.release() : acquisition.reason)),
  )
  signal.throwIfAborted()
  const isWhole = outcomes.every((outcome) => outcome === 'released')
  return { cpuShare: isWhole ? median(shares) : null }
}

async function cpuShareOver(windowMs: number): Promise<number> {
  const startedAtMs = performance.now()
  const before = process.cpuUsage()
  await pause(windowMs)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000 / (performance.now() - startedAtMs)
}
